//! `simulate`: a day of people and attackers through the real admission, by a clock that is moved by hand, with nothing, with the
//! limits, and with the conversion guard as well.

mod actors;
mod plot;
mod world;

use std::error::Error;
use std::path::PathBuf;

use shared::config::environment;
use shared::guard::Mode;
use shared::limits::Limits;

use self::actors::Attack;
use self::plot::plot;
use self::world::{Outcome, World};

/// What stands between an attacker and the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// The tutorial's throttle: one SMS to a number in a minute.
    Cooldown,
    Limits,
    Guard,
}

impl Layer {
    const ALL: [Self; 3] = [Self::Cooldown, Self::Limits, Self::Guard];

    fn name(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown alone",
            Self::Limits => "with limits",
            Self::Guard => "with the guard too",
        }
    }

    fn limits(self, configured: &Limits) -> Limits {
        if self == Self::Cooldown { Limits::none() } else { configured.clone() }
    }

    fn guard(self) -> Mode {
        if self == Self::Guard { Mode::Enforce } else { Mode::Off }
    }
}

/// One attack, with what came of it behind each layer.
struct Row {
    attack: Attack,
    outcomes: Vec<Outcome>,
}

/// Runs all attacks behind all layers, and prints what came of them.
#[expect(clippy::print_stdout, reason = "the command's result")]
pub async fn run(seed: u64, people: u32, price: f64, svg: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let limits =
        Limits::parse(&environment("LIMITS").unwrap_or_default()).map_err(|error| format!("LIMITS {error}"))?;
    println!("seed {seed}, {people} people a day, {price} USD for an SMS\n");
    println!("| attack | | SMS to it | lost, USD | less | first refused after | people refused | codes compared |");
    let mut rows = Vec::new();
    for attack in Attack::ALL {
        let mut outcomes: Vec<Outcome> = Vec::new();
        for layer in Layer::ALL {
            let mut world = World::new(seed, layer.limits(&limits), layer.guard())?;
            // A day before, in which nothing happens, and what is usual is learned.
            world.day(actors::people(people, seed)).await?;
            world.forget_outcome();
            world.day([actors::people(people, seed + 1), attack.actors(seed)].concat()).await?;
            let outcome = world.outcome();
            let without = outcomes.first().map_or(outcome.sent, |first| first.sent);
            println!(
                "| {} | {} | {} | {:.2} | {} | {} | {:.2} % of {} | {} |",
                attack.name(),
                layer.name(),
                outcome.sent,
                f64::from(outcome.sent) * price,
                percent(1.0 - f64::from(outcome.sent) / f64::from(without.max(1))),
                outcome.detected.map_or_else(|| "never".to_owned(), |after| format!("{} s", after.as_secs())),
                100.0 * f64::from(outcome.people_refused) / f64::from(people),
                people,
                outcome.compared,
            );
            outcomes.push(outcome);
        }
        rows.push(Row { attack, outcomes });
    }
    if let Some(path) = svg {
        std::fs::write(&path, plot(&rows)).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("\ndrawn: {}", path.display());
    }
    Ok(())
}

fn percent(share: f64) -> String {
    if share == 0.0 { String::new() } else { format!("{:.1} %", share * 100.0) }
}
