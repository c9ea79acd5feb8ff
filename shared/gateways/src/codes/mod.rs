//! What the vendors' codes mean: a table for each, with its source and its date.
//!
//! Whose trouble is it? That decides the class. The account's, the sender's and the country's is
//! never told as the number's: the next gateway may do better, and an operator has to know. The
//! number's and the country's is never taken for the gateway's: the circuit would keep everybody
//! else waiting. docs/reference/gateway-codes.md is these tables, and a test holds it to them.

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

/// A vendor's codes.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where they are published, and when that was read.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "docs/reference/gateway-codes.md, which a test writes, shows it"
        )
    )]
    pub(crate) source: &'static str,
    /// The code, or the beginning of a family of codes and a `*`; its class; what it means. The
    /// first that fits counts.
    pub(crate) rows: &'static [(&'static str, FailureClass, &'static str)],
    /// Those of the account's codes that only some messages meet, such as all with one template or
    /// to one country: other messages are not kept from the gateway for that.
    pub(crate) some: &'static [&'static str],
}

impl Table {
    /// What a code means: the class, and in words.
    pub(crate) fn find(&self, code: &str) -> (FailureClass, &'static str) {
        let row = self.rows.iter().find(|(pattern, ..)| fits(pattern, code));
        row.map_or((FailureClass::Unlisted, "not known here"), |&(_, class, meaning)| {
            (class, meaning)
        })
    }

    /// Whether only some messages meet it.
    pub(crate) fn is_for_some(&self, code: &str) -> bool {
        self.some.iter().any(|pattern| fits(pattern, code))
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
            for pattern in table.some {
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

    /// `UPDATE_DOCS=1 cargo test --workspace --lib gateway_codes` writes it.
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
                "docs/reference/gateway-codes.md is older than the tables: UPDATE_DOCS=1 writes it anew"
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
                let some = if table.is_for_some(pattern) { "; some messages" } else { "" };
                let _ = writeln!(text, "| `{pattern}` | {}{some} | {meaning} |", class.as_str());
            }
        }
        text
    }
}
