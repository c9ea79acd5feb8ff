-- Every request is for the same number, which is in its cooldown after the first.
wrk.method = "POST"
wrk.path = "/v1/verifications"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"to":"13700000000"}'
