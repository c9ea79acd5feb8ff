use std::collections::HashMap;

use sms_domain::phone::Country;
use sms_http::TrustedProxies;

use super::*;

const GOOD: [(&str, &str); 5] = [
    ("REDIS_URL", "rediss://user:hunter2@cache.example:6379"),
    ("QUEUE_URL", "amqps://user:hunter2@mq.example/%2f"),
    ("CODE_SECRET", "hunter2hunter2hunter2hunter2hunter2"),
    ("SMS_DSN", "ccp://sid:hunter2@app.cloopen.com:8883?app_id=A&template=1"),
    ("COGNITO_KEY_ARN", "arn:aws:kms:us-east-1:123456789012:key/1234abcd"),
];

fn with<T>(vars: &[(&str, &str)], read: impl Fn(Lookup<'_>) -> T) -> T {
    let map: HashMap<&str, &str> = vars.iter().copied().collect();
    read(&|name| map.get(name).map(|value| (*value).to_owned()))
}

fn problems<T>(result: Result<T, ConfigError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_missing_variable_is_named_at_once() {
    let text = with(&[], |lookup| problems(SendConfig::read(lookup)));
    for name in ["REDIS_URL", "QUEUE_URL", "CODE_SECRET", "SMS_DSN"] {
        assert!(text.contains(&format!("{name} is not set")), "{text}");
    }
    assert!(
        with(&[("REDIS_URL", " ")], |lookup| problems(CheckConfig::read(lookup)))
            .contains("REDIS_URL is not set")
    );
    let text = with(&[], |lookup| problems(CognitoConfig::read(lookup)));
    for name in ["REDIS_URL", "QUEUE_URL", "CODE_SECRET", "COGNITO_KEY_ARN"] {
        assert!(text.contains(&format!("{name} is not set")), "{text}");
    }
    let sqs = [("QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/jobs")];
    assert!(
        with(&sqs, |lookup| problems(SendConfig::read(lookup)))
            .contains("DEAD_QUEUE_URL is not set")
    );
}

#[test]
fn every_wrong_variable_is_named_at_once() {
    let wrong = [
        ("REDIS_URL", "cache.example:6379"),
        ("QUEUE_URL", "kafka://mq"),
        ("CODE_SECRET", "short"),
        ("SMS_DSN", "smtp://mail"),
        ("CODE_TTL", "601"),
        ("RESEND_INTERVAL", "0"),
        ("MAX_ATTEMPTS", "-1"),
        ("CODE_LENGTH", "3"),
        ("RETRY_BACKOFF", "3s"),
        ("MAX_RETRIES", "11"),
        ("DELIVERY_POLICY", "exactly_once"),
        ("DEFAULT_REGION", "China"),
        ("LISTEN", "8080"),
        ("WEBOTP_ORIGINS", "example.com, not a host"),
        ("ANDROID_APP_HASHES", "short"),
        ("TEST_NUMBERS", "+8613800138000=12345"),
        ("TEST_NUMBERS_UNTIL", "soon"),
        ("LIMITS", "ip=many/hour"),
        ("ALLOWED_COUNTRIES", "CN, China"),
        ("TRUSTED_PROXIES", "10.0.0.1"),
        ("GUARD", "on"),
        ("API_KEYS", "shop=secret"),
        ("CHALLENGE", "captcha"),
        ("BUDGET", "5"),
        ("ALLOW_ORIGINS", "shop.example"),
        ("BASE_PATH", "sms"),
        ("DOORS", "logto://?token=short"),
        ("MEIDUO_KEYS", "yes"),
        ("OPS_TOKEN", "short"),
        ("EVICTION", "yes"),
    ];
    let text = with(&wrong, |lookup| problems(LocalConfig::read(lookup, Role::All)));
    for (name, _) in wrong {
        assert!(text.contains(name), "{name} in: {text}");
    }
}

#[test]
fn the_key_of_cognito_is_no_alias() {
    let alias = ("COGNITO_KEY_ARN", "arn:aws:kms:us-east-1:123456789012:alias/cognito");
    let vars = [&GOOD[..3], &[alias]].concat();
    let text = with(&vars, |lookup| problems(CognitoConfig::read(lookup)));
    assert!(text.contains("COGNITO_KEY_ARN needs the ARN of a key, and no alias"), "{text}");
}

#[test]
fn an_unknown_option_of_a_url_is_an_error_at_start() {
    for (name, url, problem) in [
        ("REDIS_URL", "redis://h?db=3", "has the option db"),
        ("REDIS_URL", "redis+sentinel://h", "needs the name of the primary"),
        ("REDIS_URL", "redis://h?cert=/nowhere", "has cert=FILE, but the file cannot be read"),
        (
            "REDIS_URL",
            "unix:///run/redis.sock",
            "needs a URL that starts with redis:// or rediss://",
        ),
        ("REDIS_URL", "redis://:p#w@h", "%23"),
        ("QUEUE_URL", "amqp://h?frame_max=4096", "has a frame_max below 8192"),
    ] {
        let text = with(&[(name, url)], |lookup| problems(LocalConfig::read(lookup, Role::All)));
        assert!(text.contains(&format!("{name} ")) && text.contains(problem), "{url}: {text}");
    }
}

#[test]
fn tenant_of_a_door_holds_an_api_key() {
    let door = "logto://shop?token=0123456789abcdef0123456789abcdef&outcome=reported&tenant=shop";
    let hash = "0123456789abcdef".repeat(4);
    let read = |keys: &str| {
        let vars = [&GOOD[..], &[("DOORS", door), ("API_KEYS", keys)]].concat();
        with(&vars, |lookup| problems(LocalConfig::read(lookup, Role::All)))
    };
    assert_eq!(read(&format!("shop={hash}")), "");
    for keys in ["", &format!("app={hash}")] {
        let error = read(keys);
        assert!(error.contains("DOORS has the door shop with a tenant"), "{error}");
    }
}

#[test]
fn test_numbers_need_a_confirmation_on_lambda() {
    let mut vars = GOOD.to_vec();
    vars.extend([("TEST_NUMBERS", "+8613800138000=012345"), ("TEST_NUMBERS_UNTIL", "2999-12-31")]);
    let read = |vars: &[(&str, &str)]| with(vars, |lookup| problems(CheckConfig::read(lookup)));
    assert_eq!(read(&vars), "");
    vars.push(("AWS_LAMBDA_FUNCTION_NAME", "check-code"));
    assert!(read(&vars).contains("TEST_NUMBERS_ON_LAMBDA=true"));
    vars.push(("TEST_NUMBERS_ON_LAMBDA", "true"));
    assert_eq!(read(&vars), "");
}

#[test]
fn a_code_that_no_template_takes_is_an_error_at_start() {
    let tencent = "tencent://id:hunter2@default?app_id=14&sign=S&template=1";
    let aliyun = "aliyun://id:hunter2@default?sign=S&template=1";
    let read = |dsn: &str, digits| {
        let vars = [&GOOD[..3], &[("SMS_DSN", dsn), ("CODE_LENGTH", digits)]].concat();
        let function = with(&vars, |lookup| problems(SendConfig::read(lookup)));
        for role in [Role::All, Role::Worker] {
            assert_eq!(with(&vars, |lookup| problems(LocalConfig::read(lookup, role))), function);
        }
        function
    };
    for dsn in [tencent, aliyun] {
        assert_eq!(read(dsn, "6"), "");
        let error = read(&format!("failover({} || {dsn})", GOOD[3].1), "7");
        assert!(
            error.contains("CODE_LENGTH is more than 6") && error.contains("template_kind=notice"),
            "{error}"
        );
        assert_eq!(read(&format!("{dsn}&template_kind=notice"), "10"), "");
        assert!(
            read(&format!("{dsn}&template_kind=other"), "6")
                .contains("wrong value for template_kind")
        );
    }
    assert_eq!(read(GOOD[3].1, "10"), "", "CCP says nothing of it");
}

#[test]
fn codes_go_to_the_default_region_alone_unless_told_otherwise() {
    let allows = |vars: &[(&str, &str)], code| {
        let config = with(vars, |lookup| LocalConfig::read(lookup, Role::All)).expect("valid");
        config.abuse.countries.contains(Country::parse(code).expect(code))
    };
    assert_eq!((allows(&[], "CN"), allows(&[], "HK")), (true, false));
    assert_eq!(
        (allows(&[("DEFAULT_REGION", "HK")], "CN"), allows(&[("DEFAULT_REGION", "HK")], "HK")),
        (false, true)
    );
    assert!(allows(&[("ALLOWED_COUNTRIES", "all")], "HK"));
    assert!(allows(&[("DEFAULT_REGION", "AX")], "FI"), "whose numbers people there have");
    assert!(!allows(&[("ALLOWED_COUNTRIES", "all")], "+881"));
    assert!(allows(&[("ALLOWED_COUNTRIES", "all,+881")], "+881"));
}

#[test]
fn api_gateway_is_a_trusted_proxy() {
    let proxies = |vars: &[(&str, &str)]| {
        with(vars, |lookup| RequestConfig::read(lookup)).expect("valid").http.callers.proxies
    };
    assert_eq!(proxies(&GOOD), TrustedProxies(0));
    let lambda = [&GOOD[..], &[("AWS_LAMBDA_FUNCTION_NAME", "request-code")]].concat();
    assert_eq!(proxies(&lambda), TrustedProxies(1));
}

#[test]
fn debug_output_shows_no_secret() {
    let shown = with(&GOOD, |lookup| {
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            RequestConfig::read(lookup),
            CheckConfig::read(lookup),
            SendConfig::read(lookup),
            CognitoConfig::read(lookup),
            LocalConfig::read(lookup, Role::Worker)
        )
    });
    assert!(shown.contains("Ok(") && !shown.contains("Err("), "{shown}");
    assert!(shown.contains("rediss://cache.example:6379"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn local_mode_needs_nothing_until_it_is_shared() {
    let read = |vars: &[(&str, &str)], role| {
        with(vars, |lookup| problems(LocalConfig::read(lookup, role)))
    };
    assert_eq!(read(&[], Role::All), "");
    let text = read(&[], Role::Api);
    assert!(
        text.contains("REDIS_URL is not set") && text.contains("; QUEUE_URL is not set"),
        "{text}"
    );
    assert!(
        read(&GOOD[..1], Role::All).contains("CODE_SECRET is not set"),
        "a code must outlive its process"
    );
    assert!(read(&[("LISTEN", "0.0.0.0:80")], Role::All).contains("SMS_DSN names no gateway"));
    let public = [&GOOD[..3], &[("LISTEN", "0.0.0.0:80")]].concat();
    assert!(
        read(&public, Role::Worker).contains("SMS_DSN names no gateway"),
        "an inbox that nobody can read"
    );
    for inbox in ["", INBOX] {
        let behind_a_proxy = [&GOOD[..3], &[("TRUSTED_PROXIES", "1"), ("SMS_DSN", inbox)]].concat();
        for role in [Role::All, Role::Worker] {
            let text = read(&behind_a_proxy, role);
            assert!(
                text.contains("SMS_DSN names no gateway") && text.contains("TRUSTED_PROXIES"),
                "{role:?}: {text}"
            );
        }
        assert_eq!(read(&behind_a_proxy, Role::Api), "", "it sends nothing");
    }
    let elsewhere =
        [&GOOD[..3], &[("TRUSTED_PROXIES", "1"), ("SMS_DSN", "inbox+http://127.0.0.1:1")]].concat();
    assert_eq!(read(&elsewhere, Role::Worker), "", "another API's");
    assert_eq!(read(&GOOD[1..2], Role::Dead), "");
    let worker =
        with(&GOOD[..3], |lookup| LocalConfig::read(lookup, Role::Worker)).expect("complete");
    assert!(
        format!("{:?}", worker.gateways).contains("InboxClient(http://127.0.0.1:8080/inbox.json)")
    );
}
