//! The command `lock-lab`.

use lock_lab::matrix;

#[tokio::main]
async fn main() -> Result<(), lock_lab::Error> {
    let cells = matrix::play_all().await?;
    println!("{}", matrix::table(&cells));
    Ok(())
}
