curl -X POST https://strait.dev/v1/events/prefix/batch-42:/send \
-H "Authorization: Bearer strait_..." \
-H "Content-Type: application/json" \
-d '{
"payload": {"approved": true}
}'
