//! Hints for errors of RabbitMQ that an operator can resolve.

/// A part of RabbitMQ's error text, and the hint for it.
const TEXTS: [(&str, &str); 3] = [
    (
        "inequivalent arg",
        "a queue of this name exists with another type or other arguments: delete it once it is \
         empty, or choose another name with ?queue= in QUEUE_URL",
    ),
    (
        "ACCESS_REFUSED",
        "the user or the password of QUEUE_URL is wrong, or the user may not use this queue",
    ),
    (
        "NOT_ALLOWED",
        "there is no virtual host of this name, or the user of QUEUE_URL may not use it",
    ),
];

/// `: ` and the hint, or an empty string if there is none.
pub(crate) fn hint(error: &lapin::Error) -> String {
    let text = error.to_string();
    let cause = TEXTS.iter().find(|(part, _)| text.contains(part));
    cause.map(|(_, words)| format!(": {words}")).unwrap_or_default()
}
