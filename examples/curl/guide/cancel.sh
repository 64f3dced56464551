curl -X DELETE https://strait.dev/v1/events/aml:user-456 \
-H "Authorization: Bearer strait_..."
