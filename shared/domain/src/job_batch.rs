//! Several jobs in one message, with one confirm for all of them.
//!
//! ```text
//! {"v":2,"jobs":[
//! {"v":1,"id":…},
//! {"v":1,"id":…}
//! ]}
//! ```
//! A release that reads single jobs alone says that the version is too new for it. Each job has a
//! line of its own, and JSON has no line breaks within a string: a line that is no job is one bad
//! job, whatever it holds.

/// Maximum number of jobs in a message.
pub const MOST: u8 = 8;

const BEGIN: &[u8] = b"{\"v\":2,\"jobs\":[\n";
const BETWEEN: &[u8] = b",\n";
const END: &[u8] = b"\n]}";

/// The message of these jobs. A job by itself is a message as it is.
#[must_use]
pub fn join<'a>(jobs: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = BEGIN.to_vec();
    for job in jobs {
        if body.len() > BEGIN.len() {
            body.extend_from_slice(BETWEEN);
        }
        body.extend_from_slice(job);
    }
    body.extend_from_slice(END);
    body
}

/// The jobs of a message that [`join`] made; `None` for any other message.
#[must_use]
pub fn split(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let lines = body.strip_prefix(BEGIN)?;
    // Cut off somewhere, its last job is a bad one.
    let lines = lines.strip_suffix(END).unwrap_or(lines).split(|byte| *byte == b'\n');
    Some(lines.map(|line| line.strip_suffix(b",").unwrap_or(line).to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;

    #[test]
    fn jobs_of_a_message_read_back() {
        let jobs: [&[u8]; 3] = [b"{\"v\":1}", b"[1,2]", b"\xff not a job"];
        for count in 1..=jobs.len() {
            let body = join(jobs.iter().copied().take(count));
            assert_eq!(split(&body).expect("many"), jobs[..count]);
        }
    }

    #[test]
    fn other_messages_are_not_taken_apart() {
        for body in ["", "{\"v\":1}", "[\n{},\n{}\n]", "{\"v\":2,\"jobs\":[]}"] {
            assert_eq!(split(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn cut_message_keeps_its_whole_jobs() {
        let body = join([b"first".as_slice(), b"second"]);
        let cut = split(&body[..body.len() - 5]).expect("many");
        assert_eq!(cut, [b"first".as_slice(), b"seco"]);
        assert_eq!(split(BEGIN).expect("many"), [b""]);
    }

    #[test]
    fn an_older_release_names_the_version() {
        let error = Job::decode(&join([b"{}".as_slice(), b"{}"])).expect_err("not one job");
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
