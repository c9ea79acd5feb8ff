//! The way of docs/guide/from-meiduo.md and back, on a Django and an nginx: the document's blocks
//! run here, with other addresses.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use sms_domain::picture_id::PictureId;
use sms_domain::random::{random_bytes, random_u64};

use super::code;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Answer, Client, Environment, Process, base_url, wrong};
use crate::support::{eventually, number, unique};

/// The parts of nginx's configuration that Debian has in its own files, and a site's has not.
const NGINX: &str = "
worker_processes 1; daemon off; pid FOLDER/pid; error_log stderr error;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b;
    fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
";

/// The blocks of the document.
struct Guide(String);

impl Guide {
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/from-meiduo.md");
        Self(std::fs::read_to_string(file).expect("the document"))
    }

    fn block(&self, language: &str, index: usize) -> &str {
        let from = self.0.split(&format!("```{language}\n")).nth(index + 1).expect("a block");
        from.split("```").next().expect("its end")
    }

    /// nginx's server before the first step, after it, and after the second.
    fn servers(&self) -> [String; 3] {
        let first = self.block("nginx", 0);
        let without: String =
            first.split_inclusive('\n').filter(|line| !line.contains(":8080")).collect();
        let (inner, end) = first.rsplit_once('}').expect("a server");
        [without, first.to_owned(), format!("{inner}{}}}{end}", self.block("nginx", 1))]
    }

    /// An attribute of the form's field.
    fn attribute(&self, name: &str) -> &str {
        let from =
            self.block("html", 0).split(&format!(" {name}=\"")).nth(1).expect("an attribute");
        from.split('"').next().expect("its end")
    }
}

/// Everything of a shop, as far as it is there.
struct Shop {
    guide: Guide,
    environment: Environment,
    gateway: Gateway,
    redis: MultiplexedConnection,
    folder: PathBuf,
}

impl Shop {
    async fn new() -> Self {
        let gateway = Gateway::start(&[], Reply::Accept).await;
        let environment = Environment::services().with("SMS_DSN", &gateway.dsn());
        let client = redis::Client::open(environment.get("REDIS_URL")).expect("a URL");
        let redis = client.get_multiplexed_async_connection().await.expect("Redis");
        let folder = std::env::temp_dir().join(unique("shop"));
        std::fs::create_dir(&folder).expect("a folder");
        Self { guide: Guide::read(), environment, gateway, redis, folder }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.join(name);
        std::fs::write(&file, text).expect("a file");
        file
    }

    /// The block of the first step, with the addresses of this test; without the lines that begin
    /// with `dropped`.
    fn sms_verify(&self, dropped: &str) -> (Process, String) {
        let mut script = String::new();
        for line in self.guide.block("sh", 0).lines().filter(|line| !line.starts_with(dropped)) {
            let name = line.split(['=', ' ']).nth(1).unwrap_or_default();
            let line = match name {
                "REDIS_URL" | "QUEUE_URL" | "CODE_SECRET" | "SMS_DSN" => {
                    format!("export {name}='{}'", self.environment.get(name))
                }
                "run" => format!("exec {}", env!("CARGO_BIN_EXE_sms-verify")),
                _ => line.to_owned(),
            };
            script = format!("{script}{line}\n");
        }
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env_clear().env("LISTEN", "127.0.0.1:0");
        let process = Process::spawn(command).announces("/v1/verifications");
        let at = base_url(&process.announced);
        (process, at)
    }

    /// The site, with its own register view or another.
    fn django(&self, register: Option<&Path>) -> (Process, String) {
        let mut command = Command::new("python");
        command.arg("tests/meiduo/site.py").env("REDIS_URL", self.environment.get("REDIS_URL"));
        command.env("LISTEN", "127.0.0.1:0").envs(register.map(|file| ("REGISTER", file)));
        let process = Process::spawn(command).announces("listening on");
        let at = process.announced.trim().rsplit(' ').next().expect("an address").to_owned();
        (process, at)
    }

    async fn nginx(&self, server: &str, site: &str, api: &str) -> (Process, Client) {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let server = server.replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
        let server =
            server.replace("http://127.0.0.1:8000", site).replace("http://127.0.0.1:8080", api);
        let folder = self.folder.to_string_lossy();
        let config =
            self.file("nginx.conf", &format!("{}{server}}}", NGINX.replace("FOLDER", &folder)));
        let mut command = Command::new("/usr/sbin/nginx");
        command.args(["-e", "stderr", "-p", &folder, "-c"]).arg(config);
        let process = Process::spawn(command);
        let at = format!("127.0.0.1:{port}");
        eventually("nginx", || async { tokio::net::TcpStream::connect(&at).await.ok() }).await;
        (process, Client::new(&format!("http://{at}")))
    }

    /// The UUID of a new picture, and the text that somebody reads in it.
    async fn picture(&self, shop: &Client) -> (String, String) {
        let uuid = PictureId::random(random_bytes()).to_string();
        assert_eq!(
            shop.get(&format!("/image_codes/{uuid}/")).await.header("content-type"),
            "image/png"
        );
        let text = self.value(&format!("img_{uuid}")).await.expect("a picture's text");
        (uuid, text)
    }

    async fn value(&self, key: &str) -> Option<String> {
        self.redis.clone().get(key).await.expect("Redis")
    }

    /// The tutorial's page: asks for a code with what was read in a picture.
    async fn asks(&self, shop: &Client, mobile: &str) -> Answer {
        let (uuid, text) = self.picture(shop).await;
        shop.get(&format!("/sms_codes/{mobile}/?image_code={text}&uuid={uuid}")).await
    }

    /// Asks for a code on the page of the second step, and returns the page's data.
    async fn asks_by_the_new_page(
        &self,
        shop: &Client,
        mobile: &str,
        picture: (&str, &str),
    ) -> Value {
        let file = self.file("page.js", self.guide.block("js", 0));
        let data =
            json!({ "mobile": mobile, "uuid": picture.0, "image_code": picture.1 }).to_string();
        let mut command = Command::new("node");
        command.arg("tests/meiduo/page.mjs").arg(file).args([&shop.base, &data]);
        serde_json::from_str(&Process::spawn(command).output().await).expect("JSON")
    }

    /// A site that has not gone the second step: a code is asked for and typed back.
    async fn works_as_ever(&self, shop: &Client) {
        let mobile = new_mobile();
        assert_eq!(code(&self.asks(shop, &mobile).await), (200, "0", "发送短信成功"));
        let sent = self.value(&format!("sms_{mobile}")).await.expect("a code");
        assert_eq!(code(&registers(shop, &mobile, &wrong(&sent), &[]).await).1, "4008");
        assert_eq!(code(&registers(shop, &mobile, &sent, &[]).await), (200, "0", "OK"));
        assert_eq!(code(&self.asks(shop, &mobile).await), (200, "4002", "发送短信过于频繁"));
    }

    /// The number and the code of somebody who asked by the new page, and the field of the form
    /// that goes with it.
    async fn somebody(&self, shop: &Client) -> (String, String, [(String, String); 1]) {
        let mobile = new_mobile();
        let (uuid, text) = self.picture(shop).await;
        let page = self.asks_by_the_new_page(shop, &mobile, (&uuid, &text)).await;
        assert_eq!(
            (&page["error_image_code"], &page["error_sms_code"]),
            (&Value::Null, &Value::Null),
            "{page}"
        );
        let id = page[self.guide.attribute(":value")].as_str().expect("an id").to_owned();
        let sent = self.sent_to(&mobile).await;
        (mobile, sent, [(self.guide.attribute("name").to_owned(), id)])
    }

    /// The code that the gateway was given for a number.
    async fn sent_to(&self, mobile: &str) -> String {
        let sent = || {
            self.gateway.calls().into_iter().find(|call| call.to == mobile).map(|call| call.code)
        };
        eventually("an SMS", || async { sent() }).await
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn new_mobile() -> String {
    number(random_u64() as u32 % 100_000_000).national().to_owned()
}

/// Posts the form, as the browser of somebody who reads Chinese.
async fn registers(
    shop: &Client,
    mobile: &str,
    typed: &str,
    further: &[(String, String)],
) -> Answer {
    let form = [("mobile", mobile), ("sms_code", typed)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form.iter().chain(further))
        .finish();
    let request = shop
        .request("POST", "/register/")
        .header("content-type", "application/x-www-form-urlencoded");
    shop.send(request.header("accept-language", "zh-CN,zh;q=0.9,en;q=0.8").body(form)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_step_and_back() {
    let shop = Shop::new().await;
    let [before, after, _] = shop.guide.servers();
    let (_django, site) = shop.django(None);
    let (_nginx, own) = shop.nginx(&before, &site, "").await;
    shop.works_as_ever(&own).await;

    let (sms_verify, api) = shop.sms_verify("#");
    let (_nginx, moved) = shop.nginx(&after, &site, &api).await;
    shop.works_as_ever(&moved).await;
    assert_eq!(shop.gateway.got(1).await.len(), 1);

    // And back: what went out meanwhile is worth what it was.
    let (drawn, sent_to) = (shop.picture(&moved).await, new_mobile());
    shop.asks(&moved, &sent_to).await;
    drop(sms_verify);
    let (_nginx, back) = shop.nginx(&before, &site, "").await;
    let asked = back
        .get(&format!("/sms_codes/{}/?image_code={}&uuid={}", new_mobile(), drawn.1, drawn.0))
        .await;
    assert_eq!(code(&asked).1, "0");
    assert_eq!(code(&shop.asks(&back, &sent_to).await).1, "4002");
    let sent = shop.value(&format!("sms_{sent_to}")).await.expect("a code");
    assert_eq!(code(&registers(&back, &sent_to, &sent, &[]).await).1, "0");
    shop.works_as_ever(&back).await;
}

/// Everything of the second step: the processes, which end when they are dropped, and the shop's
/// address.
async fn after_the_second_step(shop: &Shop, dropped: &str) -> ([Process; 3], Client) {
    let [_, _, server] = shop.guide.servers();
    let (sms_verify, api) = shop.sms_verify(dropped);
    let view = shop.guide.block("python", 0).replace("http://127.0.0.1:8080", &api);
    let (django, site) = shop.django(Some(&shop.file("register.py", &view)));
    let (nginx, client) = shop.nginx(&server, &site, &api).await;
    ([sms_verify, django, nginx], client)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_the_view_of_the_second_step() {
    let shop = Shop::new().await;
    let (mut processes, front) = after_the_second_step(&shop, "#").await;

    let (uuid, _) = shop.picture(&front).await;
    let page = shop.asks_by_the_new_page(&front, &new_mobile(), (&uuid, "wrong")).await;
    assert_eq!(page["error_image_code_message"], "图形验证码错误", "{page}");
    assert_eq!(
        (&page["pictures"], &page["sending_flag"]),
        (&json!(1), &json!(false)),
        "it may be tried again: {page}"
    );

    let (mobile, sent, id) = shop.somebody(&front).await;
    let (uuid, text) = shop.picture(&front).await;
    let page = shop.asks_by_the_new_page(&front, &mobile, (&uuid, &text)).await;
    assert_eq!(page["error_sms_code_message"], "发送短信过于频繁", "{page}");
    assert_eq!(
        code(&registers(&front, &mobile, &sent, &[]).await),
        (200, "4003", "缺少必传参数"),
        "by an old page"
    );
    assert_eq!(
        code(&registers(&front, &mobile, &wrong(&sent), &id).await),
        (200, "4008", "短信验证码有误")
    );
    let elsewhere = id.clone().map(|(name, id)| (name, format!("{id}/check#")));
    assert_eq!(
        code(&registers(&front, &mobile, &sent, &elsewhere).await),
        (200, "4008", "短信验证码已失效")
    );
    assert_eq!(
        code(&registers(&front, &new_mobile(), &sent, &id).await).0,
        200,
        "of another number"
    );
    assert_ne!(
        code(&registers(&front, &new_mobile(), &sent, &id).await).1,
        "0",
        "of another number"
    );
    assert_eq!(code(&registers(&front, &mobile, &sent, &id).await), (200, "0", "OK"));
    assert_eq!(
        code(&registers(&front, &mobile, &sent, &id).await),
        (200, "4008", "短信验证码已失效"),
        "a second time"
    );

    let (mobile, sent, id) = shop.somebody(&front).await;
    for _ in 0..5 {
        registers(&front, &mobile, &wrong(&sent), &id).await;
    }
    assert_eq!(
        code(&registers(&front, &mobile, &sent, &id).await),
        (200, "4002", "验证码输错次数过多")
    );

    // What was asked for with another purpose registers nobody.
    let (uuid, text) = shop.picture(&front).await;
    let mobile = new_mobile();
    let asked = json!({ "to": mobile, "uuid": uuid, "image_code": text, "purpose": "password" });
    let id = [(
        shop.guide.attribute("name").to_owned(),
        front.post("/v1/verifications", &asked).await.id(),
    )];
    let sent = shop.sent_to(&mobile).await;
    assert_eq!(
        code(&registers(&front, &mobile, &sent, &id).await),
        (200, "4008", "短信验证码已失效")
    );

    processes[0].kill();
    assert_eq!(code(&registers(&front, &mobile, &sent, &id).await).1, "5000");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_from_the_second_step() {
    let shop = Shop::new().await;
    // At the end of it nothing stands in Redis in clear.
    let (processes, front) = after_the_second_step(&shop, "export MEIDUO_KEYS").await;
    let (mobile, sent, id) = shop.somebody(&front).await;
    assert_eq!(shop.value(&format!("send_flag_{mobile}")).await, None);
    assert_eq!(code(&registers(&front, &mobile, &sent, &id).await).1, "0");
    drop(processes);

    // With it again, the site's own view knows whom the new page has just sent an SMS.
    let (processes, front) = after_the_second_step(&shop, "#").await;
    let (mobile, ..) = shop.somebody(&front).await;
    assert_eq!(
        shop.value(&format!("sms_{mobile}")).await,
        None,
        "a code that registers by the check alone"
    );
    assert_eq!(shop.value(&format!("send_flag_{mobile}")).await.as_deref(), Some("1"));
    drop(processes);

    let (_sms_verify, api) = shop.sms_verify("#");
    let (_django, site) = shop.django(None);
    let (_nginx, back) = shop.nginx(&shop.guide.servers()[2], &site, &api).await;
    shop.works_as_ever(&back).await;
    assert_eq!(code(&shop.asks(&back, &mobile).await).1, "4002");
}
