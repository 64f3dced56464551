# Inside your job executor
import requests
# Report progress
requests.post(f"{STRAIT_URL}/sdk/v1/runs/{run_id}/progress",
headers={"Authorization": f"Bearer {run_token}"},
json={"percent": 50, "message": "Waiting for manual review"})
# Pause and wait for external event
requests.post(f"{STRAIT_URL}/sdk/v1/runs/{run_id}/wait-for-event",
headers={"Authorization": f"Bearer {run_token}"},
json={
"event_key": f"review:{document_id}",
"timeout_secs": 172800,
"notify_url": "https://myapp.com/webhook/review-ready"
})
