//! The settings, as `--help` lists them.

use std::fmt::Write;

use sms_config::{Group, Setting};

/// Width of the list in columns.
const WIDTH: usize = 100;

/// One line for each environment variable, group by group.
pub fn list() -> String {
    let mut text =
        "Environment variables (docs/reference/configuration.md has details):\n".to_owned();
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}:", group.title());
        group.settings().for_each(|setting| text.push_str(&line(setting)));
    }
    text
}

/// The name, a sentence, and the default if it fits into the line.
fn line(setting: &Setting) -> String {
    let line = format!("  {:<22}  {}", setting.name, setting.about.replace('`', ""));
    let unset = setting.unset.to_string().replace('`', "");
    let with_default = format!("{line} [{unset}]");
    if unset.is_empty() || with_default.len() > WIDTH {
        return format!("{line}\n");
    }
    format!("{with_default}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_setting_on_a_line_of_its_own() {
        let list = list();
        for setting in sms_config::SETTINGS {
            let lines =
                list.lines().filter(|line| line.split_whitespace().next() == Some(setting.name));
            assert_eq!(lines.count(), 1, "{setting}");
        }
        assert!(list.lines().all(|line| line.len() <= WIDTH), "{list}");
    }
}
