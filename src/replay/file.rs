//! A history from a file: an event a line, as Falco's `file_output` and most log shippers write them, gzip or not.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
    thread,
};

use async_trait::async_trait;
use brokers::{Attempt, Error, History, Message, MessageId};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc;

/// The longest line. What is longer is cut, and so is no event.
const LINE: usize = 16 << 20;
/// What is read ahead: so many blocks, each of about so many bytes.
const AHEAD: usize = 4;
const BLOCK: usize = 1 << 20;

type Block = Vec<(u64, Bytes)>;

/// The lines of a file, or of standard input.
#[derive(Debug)]
pub struct Lines {
    name: Arc<str>,
    blocks: mpsc::Receiver<io::Result<Block>>,
    block: VecDeque<(u64, Bytes)>,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let input: Box<dyn Read + Send> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(path).map_err(|error| {
                Error::Configuration(format!("{} can't be read: {error}", path.display()))
            })?),
        };
        Self::read(&path.to_string_lossy(), input)
    }

    fn read(name: &str, input: Box<dyn Read + Send>) -> Result<Self, Error> {
        let (sender, blocks) = mpsc::channel(AHEAD);
        thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || {
                let ended = unpacked(input).and_then(|input| send_lines(input, &sender));
                if let Err(error) = ended {
                    // Nobody reads any more, or learns of it here.
                    let _ = sender.blocking_send(Err(error));
                }
            })
            .map_err(|e| Error::client("reading a file", e))?;
        Ok(Self { name: name.into(), blocks, block: VecDeque::new() })
    }
}

/// Gzip is known by its first two bytes, whatever the file is called.
fn unpacked(input: Box<dyn Read + Send>) -> io::Result<Box<dyn BufRead>> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    match input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        true => Ok(Box::new(BufReader::new(MultiGzDecoder::new(input)))),
        false => Ok(Box::new(input)),
    }
}

fn send_lines(
    mut input: Box<dyn BufRead>,
    blocks: &mpsc::Sender<io::Result<Block>>,
) -> io::Result<()> {
    let (mut block, mut bytes) = (Block::new(), 0);
    let mut number = 0;
    while let Some(line) = next_line(&mut *input)? {
        number += 1;
        if line.is_empty() {
            continue;
        }
        bytes += line.len();
        block.push((number, line.into()));
        if bytes >= BLOCK {
            bytes = 0;
            if blocks.blocking_send(Ok(std::mem::take(&mut block))).is_err() {
                return Ok(());
            }
        }
    }
    // If nobody reads any more, nobody misses it.
    let _ = blocks.blocking_send(Ok(block));
    Ok(())
}

/// A line without its end; what is longer than `LINE` is cut there.
fn next_line(input: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input.take(LINE as u64).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if read == LINE && line.last() != Some(&b'\n') {
        skip_line(input)?;
    }
    let end = line.trim_ascii_end().len();
    line.truncate(end);
    Ok(Some(line))
}

fn skip_line(input: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = buffer.len();
        match end {
            Some(end) => {
                input.consume(end + 1);
                return Ok(());
            }
            None if length == 0 => return Ok(()),
            None => input.consume(length),
        }
    }
}

#[async_trait]
impl History for Lines {
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        while self.block.is_empty() {
            match self.blocks.recv().await {
                None => return Ok(None),
                Some(Ok(block)) => self.block = block.into(),
                Some(Err(error)) => {
                    return Err(Error::client(format!("reading {}", self.name), error));
                }
            }
        }
        Ok(self.block.pop_front().map(|(number, payload)| Message {
            id: MessageId::in_stream(self.name.clone(), number),
            payload,
            key: None,
            headers: Vec::new(),
            published: None,
            attempt: Attempt::Unknown,
        }))
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    async fn lines(input: Vec<u8>) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut lines = Lines::read("test", Box::new(io::Cursor::new(input)))?;
        let mut all = Vec::new();
        while let Some(message) = lines.next().await? {
            all.push((message.id.sequence(), message.payload.to_vec()));
        }
        Ok(all)
    }

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
        zip.write_all(text).unwrap();
        zip.finish().unwrap()
    }

    proptest! {
        #[test]
        fn lines_are_read_the_same_zipped_or_not(text in "[a-z \r\n]{0,200}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let plain = runtime.block_on(lines(text.clone().into_bytes())).unwrap();
            let unzipped = runtime.block_on(lines(zipped(text.as_bytes()))).unwrap();
            prop_assert_eq!(&plain, &unzipped);
            let expected = text.split('\n').map(str::trim_end).filter(|line| !line.is_empty());
            prop_assert!(expected.eq(plain.iter().map(|(_, line)| std::str::from_utf8(line).unwrap())));
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_and_the_next_is_whole() {
        let mut text = vec![b'x'; LINE + 5];
        text.extend(b"\nnext\n");
        let read = lines(text).await.unwrap();
        assert_eq!((read.len(), read[0].1.len(), &read[1]), (2, LINE, &(2, b"next".to_vec())));
    }

    #[tokio::test]
    async fn files_put_together_are_read_to_the_end_and_a_torn_one_is_an_error() {
        let two = [zipped(b"a\n"), zipped(b"b\n")].concat();
        assert_eq!(lines(two).await.unwrap().len(), 2);
        let mut torn = zipped(&[b'a'; 100]);
        torn.truncate(torn.len() - 9);
        assert!(lines(torn).await.is_err());
    }
}
