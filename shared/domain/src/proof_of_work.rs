//! Proof of work, in the format of ALTCHA's first version, whose widgets and libraries solve it as
//! well as the demo page does: find the number between 0 and `maxnumber` for which SHA-256(salt ‖
//! number) is `challenge`.
//!
//! Nothing is stored of a task. Its salt says until when it is valid and for which number, and it
//! is signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::phone::PhoneNumber;
use crate::secrets::Secrets;

/// Seconds for which a task is valid.
pub const LIFETIME: i64 = 300;

const ALGORITHM: &str = "SHA-256";

/// A base64 text of the answer to a task has about 400 characters.
const MAX_ANSWER: usize = 1024;

/// The task, as ALTCHA's widgets take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PowChallenge {
    algorithm: &'static str,
    challenge: String,
    maxnumber: u64,
    salt: String,
    signature: String,
}

/// The answer, as ALTCHA's widgets give it.
#[derive(Serialize, Deserialize)]
struct Solution {
    algorithm: String,
    challenge: String,
    number: u64,
    salt: String,
    signature: String,
}

impl PowChallenge {
    /// Does the work.
    #[expect(clippy::expect_used, reason = "numbers and strings always serialize")]
    pub fn solve(&self) -> Option<String> {
        let number =
            (0..=self.maxnumber).find(|number| challenge(&self.salt, *number) == self.challenge)?;
        let Self { challenge, salt, signature, .. } = self.clone();
        let answer =
            Solution { algorithm: ALGORITHM.to_owned(), challenge, number, salt, signature };
        Some(
            STANDARD
                .encode(serde_json::to_vec(&answer).expect("numbers and strings always serialize")),
        )
    }
}

/// A task for a phone number. `random` is drawn for this call.
pub fn task(
    maxnumber: u64,
    secrets: &Secrets,
    to: &PhoneNumber,
    now: i64,
    random: [u8; 16],
) -> PowChallenge {
    // It ends with &, or whoever solved it could move digits between salt and number, and so change
    // its end.
    let salt =
        format!("{}?expires={}&to={}&", hex::encode(random), now + LIFETIME, secrets.tag(to));
    // Nobody can compute it from what the task shows.
    let drawn = secrets.mac(&[b"number", salt.as_bytes()].concat());
    let number = u64::from_be_bytes(std::array::from_fn(|index| drawn[index])) % (maxnumber + 1);
    let challenge = challenge(&salt, number);
    let signature = hex::encode(secrets.mac(challenge.as_bytes()));
    PowChallenge { algorithm: ALGORITHM, challenge, maxnumber, salt, signature }
}

/// Whether a text is the answer to a task for this phone number; then a name for the task, which is
/// to be used once.
pub fn verify(text: &str, secrets: &Secrets, to: &PhoneNumber, now: i64) -> Option<String> {
    if text.len() > MAX_ANSWER {
        return None;
    }
    let answer: Solution = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    let signed = secrets.macs(answer.challenge.as_bytes());
    let authentic = signed
        .iter()
        .any(|seal| hex::encode(seal).as_bytes().ct_eq(answer.signature.as_bytes()).into());
    let parameters = answer.salt.strip_suffix('&')?.split_once('?')?.1;
    let (expires, tag) = parameters.strip_prefix("expires=")?.split_once("&to=")?;
    let fits = answer.algorithm == ALGORITHM
        && challenge(&answer.salt, answer.number) == answer.challenge
        && now < expires.parse().ok()?
        && tag == secrets.tag(to).to_string();
    (authentic && fits).then_some(answer.challenge)
}

fn challenge(salt: &str, number: u64) -> String {
    hex::encode(Sha256::digest(format!("{salt}{number}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::phone::Region;

    const NOW: i64 = 1_800_000_000;

    fn secrets() -> Secrets {
        Secrets::from_random([1; 32])
    }

    fn of(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text, Region::default()).expect("a number")
    }

    fn answer(task: &PowChallenge, number: u64, salt: &str) -> String {
        let PowChallenge { algorithm, challenge, signature, .. } = task;
        let answer = json!({ "algorithm": algorithm, "challenge": challenge, "number": number, "salt": salt,
            "signature": signature, "took": 120 });
        STANDARD.encode(answer.to_string())
    }

    fn solution(task: &PowChallenge) -> u64 {
        (0..=task.maxnumber)
            .find(|number| challenge(&task.salt, *number) == task.challenge)
            .expect("a solution")
    }

    #[test]
    fn a_solution_is_taken_for_its_number_and_in_time() {
        let (secrets, to) = (secrets(), of("13800138000"));
        let task = task(1000, &secrets, &to, NOW, [3; 16]);
        let text = task.solve().expect("a solution");
        assert_eq!(verify(&text, &secrets, &to, NOW + LIFETIME - 1), Some(task.challenge.clone()));
        assert_eq!(verify(&text, &secrets, &to, NOW + LIFETIME), None, "too late");
        assert_eq!(verify(&text, &secrets, &of("13800138001"), NOW), None, "for another number");
        assert_eq!(
            verify(&text, &Secrets::from_random([2; 32]), &to, NOW),
            None,
            "of somebody else"
        );
    }

    #[test]
    fn what_is_no_solution_is_refused() {
        let (secrets, to) = (secrets(), of("13800138000"));
        let task = task(1000, &secrets, &to, NOW, [3; 16]);
        let number = solution(&task);
        assert!(
            verify(&answer(&task, number, &task.salt), &secrets, &to, NOW).is_some(),
            "with what else widgets tell"
        );
        let own_salt = format!("?expires=9999999999&to={}&", secrets.tag(&to));
        let own_task = PowChallenge { challenge: challenge(&own_salt, 1), ..task.clone() };
        for text in [
            String::new(),
            "x".repeat(MAX_ANSWER + 1),
            STANDARD.encode("{}"),
            answer(&task, number + 1, &task.salt),
            answer(&own_task, 1, &own_salt),
            answer(&task, number % 10, &format!("{}{}", task.salt, number / 10)),
            answer(&task, number, &task.salt.replace("expires=1", "expires=2")),
        ] {
            assert_eq!(verify(&text, &secrets, &to, NOW), None, "{text}");
        }
    }

    #[test]
    fn the_number_to_be_found_is_anywhere() {
        let (secrets, to) = (secrets(), of("13800138000"));
        let numbers: Vec<u64> =
            (0..100).map(|random| solution(&task(9, &secrets, &to, NOW, [random; 16]))).collect();
        assert!((0..=9).all(|number| numbers.contains(&number)), "{numbers:?}");
    }
}
