//! Asks whether a Pub/Sub server serves: both kinds answer a plain request for `/` with 200.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Done once the server at `address` answers. What it does instead is the error.
pub(crate) async fn serves(address: &str) -> Result<(), String> {
    let answer = ask(address).await.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&answer);
    if said.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(format!("it answers {said:?}")) }
}

async fn ask(address: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}
