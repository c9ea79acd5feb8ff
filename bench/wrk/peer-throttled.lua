-- Every request is for the same number, which is in its cooldown after the first.
wrk.path = "/sms_codes/13700000000/"
