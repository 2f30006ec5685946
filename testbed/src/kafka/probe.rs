//! Asks a broker whether it serves, with the one request that needs no client library.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Length, then api key 18 (ApiVersions), version 0, correlation id 7, no client id:
/// <https://kafka.apache.org/protocol#The_Messages_ApiVersions>
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Done once the broker at `address` answers: it reads requests only after it has joined its
/// controller, although it listens long before. What it does instead is the error.
pub(crate) async fn serves(address: &str) -> Result<(), String> {
    answer(address).await.map_err(|error| error.to_string()).and_then(|(correlation, code)| {
        if (correlation, code) == (7, 0) {
            Ok(())
        } else {
            Err(format!("an answer that is not Kafka's ({correlation}, {code})"))
        }
    })
}

async fn answer(address: &str) -> std::io::Result<(i32, i16)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&REQUEST).await?;
    let _length = stream.read_i32().await?;
    Ok((stream.read_i32().await?, stream.read_i16().await?))
}
