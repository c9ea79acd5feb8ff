//! Tables of the vendors' error codes, each with its source and date.
//!
//! A code's class is decided by what is at fault. A fault of the account, the sender or the country
//! is never classified as one of the number: the next gateway may succeed, and an operator has to
//! know. A fault of the number or the country is never classified as one of the gateway: an open
//! circuit would block all other messages. docs/reference/gateway-codes.md is these tables, and a
//! test holds it to them.

mod aliyun;
mod aws;
mod ccp;
mod tencent;
mod twilio;

use sms_domain::failure::FailureClass;

pub(crate) use self::aliyun::ALIYUN;
pub(crate) use self::aws::AWS;
pub(crate) use self::ccp::CCP;
pub(crate) use self::tencent::TENCENT;
pub(crate) use self::twilio::TWILIO;

/// A vendor's error codes.
#[derive(Debug)]
pub(crate) struct Table {
    /// The publication that lists them, and the date on which it was read.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "docs/reference/gateway-codes.md, which a test writes, shows it"
        )
    )]
    pub(crate) source: &'static str,
    /// The code, or a prefix of a family of codes and a `*`; its class; its meaning. The first
    /// match counts.
    pub(crate) rows: &'static [(&'static str, FailureClass, &'static str)],
    /// Account-level codes that affect only some messages, such as those with one template or to
    /// one country: they do not open the circuit for the others.
    pub(crate) message_specific: &'static [&'static str],
}

impl Table {
    /// Class and meaning of a code.
    pub(crate) fn find(&self, code: &str) -> (FailureClass, &'static str) {
        let row = self.rows.iter().find(|(pattern, ..)| fits(pattern, code));
        row.map_or((FailureClass::Unlisted, "not known here"), |&(_, class, meaning)| {
            (class, meaning)
        })
    }

    /// Returns true if the code affects only some messages.
    pub(crate) fn is_message_specific(&self, code: &str) -> bool {
        self.message_specific.iter().any(|pattern| fits(pattern, code))
    }
}

fn fits(pattern: &str, code: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => code.starts_with(beginning),
        None => code == pattern,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const TABLES: [(&str, &Table); 5] = [
        ("CCP", &CCP),
        ("Aliyun", &ALIYUN),
        ("Tencent", &TENCENT),
        ("Twilio", &TWILIO),
        ("AWS", &AWS),
    ];

    #[test]
    fn every_row_can_be_found_and_says_what_it_means() {
        for (vendor, table) in TABLES {
            assert!(table.source.contains("20"), "{vendor}: when was it read?");
            for &(pattern, class, meaning) in table.rows {
                let (found, words) = table.find(&pattern.replace('*', "?"));
                assert_eq!(
                    (found, words),
                    (class, meaning),
                    "{vendor} {pattern}: another row stands before it"
                );
                assert!(
                    (4..=70).contains(&meaning.len()) && meaning.is_ascii(),
                    "{vendor} {pattern}: {meaning}"
                );
                assert_ne!(class, FailureClass::Unlisted, "{vendor} {pattern}");
            }
            for pattern in table.message_specific {
                let (class, _) = table.find(pattern.trim_end_matches('*'));
                assert!(
                    matches!(class, FailureClass::Configuration | FailureClass::Ambiguous),
                    "{vendor} {pattern}: {class:?}"
                );
            }
            assert_eq!(
                table.find("a code that nobody has"),
                (FailureClass::Unlisted, "not known here")
            );
        }
    }

    /// `UPDATE_DOCS=1 cargo test --workspace --lib gateway_codes` writes the document.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "an order to the test, and no setting")]
    fn the_document_of_gateway_codes_is_made_of_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/gateway-codes.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let expected = document();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).expect("a file");
        } else {
            assert!(
                written == expected,
                "docs/reference/gateway-codes.md is out of date: run this test with UPDATE_DOCS=1"
            );
        }
    }

    /// A paragraph in lines of at most 100 columns.
    fn wrapped(paragraph: &str) -> String {
        let mut lines = vec![String::new()];
        for word in paragraph.split(' ') {
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.push_str(word),
                Some(line) if line.len() + 1 + word.len() <= 100 => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines.join("\n")
    }

    fn document() -> String {
        let mut text = include_str!("introduction.md").to_owned();
        for (vendor, table) in TABLES {
            let source = wrapped(&format!("Source: {}.", table.source));
            let _ = writeln!(
                text,
                "\n## {vendor}\n\n{source}\n\n| code | class | meaning |\n|---|---|---|"
            );
            for (pattern, class, meaning) in table.rows {
                let some = if table.is_message_specific(pattern) { "; some messages" } else { "" };
                let _ = writeln!(text, "| `{pattern}` | {}{some} | {meaning} |", class.as_str());
            }
        }
        text
    }
}
