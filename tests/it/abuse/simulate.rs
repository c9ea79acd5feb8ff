//! `simulate`: a day is the same each time, and the defences hold what docs/operations/abuse.md
//! says of them.

use crate::support::process::{Environment, Process};
use crate::support::services::Service;

/// A row: attack, layer, SMS, USD, less, when stopped, people refused, challenges to people, codes.
type Row = Vec<String>;

async fn simulated(arguments: &[&str], environment: &Environment) -> Vec<Row> {
    let arguments = [&["simulate", "--seed", "3", "--people", "2000"], arguments].concat();
    let output = Process::start(&arguments, environment).output().await;
    let rows = output.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// As by default.
fn defaults() -> Environment {
    Environment::embedded().with("LIMITS", "")
}

fn number(text: &str) -> f64 {
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_a_day_of_attacks() {
    let rows = simulated(&[], &defaults()).await;
    assert_eq!(rows.len(), 6 * 5);
    let behind = |layer: &str, attack: &str| {
        let row = rows.iter().find(|row| row[0] == attack && row[1] == layer);
        row.unwrap_or_else(|| panic!("no {attack}")).clone()
    };
    for attack in [
        "pumping one block",
        "pumping 1,000 blocks",
        "pumping 20 blocks, rotating addresses",
        "pumping one block, a slow drip",
        "bombing one number",
    ] {
        let row = behind("with challenges", attack);
        assert!(number(&row[4]) >= 98.0, "less: {row:?}");
        assert!(number(&row[6]) <= 0.1, "people: {row:?}");
    }
    assert!(number(&behind("with challenges", "bombing one number")[2]) <= 10.0, "in a day");
    assert!(number(&behind("bots solve them", "bombing one number")[2]) <= 10.0, "in a day");
    let guessed = number(&behind("with challenges", "guessing codes")[8]) / 1e6;
    assert!(guessed < 0.01, "codes guessed in a day: {guessed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_a_budget_bounds_bots_that_solve_everything() {
    let environment = defaults().with("BUDGET", "40/day");
    let rows = simulated(&["--only", "1,000 blocks"], &environment).await;
    let last = rows.last().expect("rows");
    assert_eq!(last[1], "with the budget");
    // At the price that is shown, 0.05 USD.
    assert!((40.0 / 0.1..=40.0 * 1.2 / 0.05).contains(&number(&last[2])), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_is_the_same_on_redis() {
    let redis = Service::redis();
    let redis = ["--only", "drip", "--redis", &redis.url];
    let on_redis = simulated(&redis, &defaults()).await;
    assert_eq!(on_redis.len(), 5);
    assert_eq!(on_redis, simulated(&redis[..2], &defaults()).await);
    assert_eq!(on_redis, simulated(&redis, &defaults()).await, "nothing was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn simulate_leaves_a_used_database_alone() {
    let redis = Service::redis();
    let client = redis::Client::open(&*redis.url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    redis::cmd("SET").arg("somebodys").arg("1").exec_async(&mut connection).await.expect("set");
    let mut process = Process::start(&["simulate", "--redis", &redis.url], &defaults());
    assert!(!process.ended().await.success());
    assert!(process.log().contains("has 1 keys"), "{}", process.log());
    assert_eq!(
        redis::cmd("GET").arg("somebodys").query_async(&mut connection).await,
        Ok("1".to_owned())
    );
}
