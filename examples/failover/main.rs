#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../common/mod.rs"]
mod common;
mod counting;
mod figures;
#[tokio::main]
async fn main() {
    println!("{:?}", counting::run().await);
}
