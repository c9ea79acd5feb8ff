//! `simulate`: is a day the same day each time, and does what stands before the gateway hold what docs/abuse.md says of it?

use crate::support::process::{Environment, Process};

/// A row: attack, layer, SMS, USD, less, detection, people refused, codes.
type Row = Vec<String>;

async fn simulated() -> Vec<Row> {
    let environment = Environment::embedded().with("LIMITS", "");
    let output = Process::start(&["simulate", "--seed", "3", "--people", "2000"], &environment).output().await;
    let rows = output.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn number(text: &str) -> f64 {
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_attacks() {
    let (rows, again) = tokio::join!(simulated(), simulated());
    assert_eq!(rows, again, "the same seed, the same day");
    assert_eq!(rows.len(), 18);
    let guarded = |attack: &str| {
        let row = rows.iter().find(|row| row[0] == attack && row[1] == "with the guard too");
        row.unwrap_or_else(|| panic!("no {attack}")).clone()
    };
    for (attack, less) in [
        ("pumping one block", 99.0),
        ("pumping 20 blocks, rotating addresses", 97.0),
        ("pumping one block, a slow drip", 97.0),
        ("bombing one number", 99.0),
    ] {
        let row = guarded(attack);
        assert!(number(&row[4]) >= less, "{row:?}");
        assert!(number(&row[6]) <= 0.1, "people: {row:?}");
    }
    assert!(number(&guarded("bombing one number")[2]) <= 10.0, "in a day");
}
