curl -X POST https://strait.dev/v1/events/aml:user-456/send \
-H "Authorization: Bearer strait_..." \
-H "Content-Type: application/json" \
-d '{
"payload": {"result": "clear", "risk_score": 0.05}
}'
