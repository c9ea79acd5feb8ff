//! A program that has the library inside it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::{Client, Process, base_url, wrong};

/// `examples/embed.rs`, which `cargo test --workspace` and `cargo build --examples` build.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_the_library_inside_logs_people_in() {
    let program = Path::new(env!("CARGO_BIN_EXE_sms-verify")).with_file_name("examples/embed");
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0");
    let product = Process::spawn(command).announces("/v1/verifications\n");
    let client = Client::new(&base_url(&product.announced));
    let id = client.ask("138 0013 8000").await.id();
    let code = client.code("+8613800138000").await;
    let login = async |to: &str, code: &str| {
        let answer = client.post("/login", &json!({ "id": id, "to": to, "code": code })).await;
        (answer.status, answer.body)
    };
    assert_eq!(login("13800138000", &wrong(&code)).await.0, 401);
    assert_eq!(login("13900139000", &code).await.0, 401, "of another number");
    let welcome = (200, Value::from("welcome, +86*******8000"));
    assert_eq!(login("13800138000", &code).await, welcome);
    assert_eq!(login("13800138000", &code).await.0, 401, "used");
    assert_eq!(client.get("/nowhere").await.body["code"], "5003");
}
