//! One connection through the proxy: two ways, each at the mercy of the weather.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

use super::{Flow, Way, Weather};

const PIECE: usize = 8 * 1024;

/// Carries bytes both ways until both sides have closed, one failed, or the connection is reset.
pub(super) async fn join(
    mut client: TcpStream,
    mut server: TcpStream,
    weather: watch::Receiver<Weather>,
) {
    // Small answers would wait for acknowledgements that the other side delays.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let resets = weather.borrow().resets;
    let mut watched = weather.clone();
    let ended = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        tokio::select! {
            ended = async {
                tokio::try_join!(
                    carry(&mut from_client, &mut to_server, Way::ToServer, weather.clone()),
                    carry(&mut from_server, &mut to_client, Way::ToClient, weather.clone()),
                )
            } => ended.is_ok(),
            _ = watched.wait_for(|weather| weather.resets > resets) => false,
        }
    };
    if !ended {
        reset(&client);
        reset(&server);
    }
}

/// Makes the coming close a reset.
pub(super) fn reset(stream: &TcpStream) {
    // It can only fail on what is closed already.
    let _ = stream.set_zero_linger();
}

async fn carry(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    way: Way,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        // The proxy's end is a heal: the connection ends by itself.
        let flow = weather.wait_for(|weather| weather.flow(way) != Flow::Cut).await;
        if let Ok(Flow::Slow(late)) = flow.map(|weather| weather.flow(way)) {
            tokio::time::sleep(late).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(piece.get(..length).unwrap_or_default()).await?;
    }
}
