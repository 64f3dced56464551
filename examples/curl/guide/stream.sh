curl -N https://strait.dev/v1/events/aml:user-456/stream \
-H "Authorization: Bearer strait_..."
