//! Writing responses: bytes from memory, record batches by sendfile from the segment to the socket.

use std::{io, os::fd::AsFd, time::Duration};

use logmill_log::ReadSlice;
use rustix::net::SendFlags;
use tokio::{
    io::Interest,
    net::{TcpStream, tcp::OwnedWriteHalf},
    time::timeout,
};

use crate::api::request::Response;

/// At most this much goes into one sendfile call, so that one connection does not hold a worker for long.
const SENDFILE_STEP: u64 = 1 << 20;
/// Where sendfile cannot be used: bytes read at a time.
const COPY_STEP: usize = 256 << 10;

/// Writes one response. A peer that takes nothing for `patience` is given up.
pub(crate) async fn write(output: &OwnedWriteHalf, response: &Response, patience: Duration) -> io::Result<()> {
    let socket: &TcpStream = output.as_ref();
    let bytes = &response.frame.bytes;
    let mut at = 0;
    for (hole, slice) in response.frame.holes.iter().zip(&response.slices) {
        let head = bytes.get(at..hole.position).unwrap_or_default();
        send(socket, head, SendFlags::MORE, patience).await?;
        at = hole.position;
        send_slice(socket, slice, patience).await?;
    }
    send(socket, bytes.get(at..).unwrap_or_default(), SendFlags::empty(), patience).await
}

async fn send(socket: &TcpStream, mut bytes: &[u8], flags: SendFlags, patience: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent =
            step(socket, patience, || Ok(rustix::net::send(socket.as_fd(), bytes, flags | SendFlags::NOSIGNAL)?))
                .await?;
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

async fn send_slice(socket: &TcpStream, slice: &ReadSlice, patience: Duration) -> io::Result<()> {
    let (mut position, mut left) = (slice.position, slice.len);
    let Some(file) = slice.file.fd() else { return copy(socket, slice, patience).await };
    while left > 0 {
        let count = usize::try_from(left.min(SENDFILE_STEP)).map_err(io::Error::other)?;
        let sent = step(socket, patience, || {
            let mut from = position;
            Ok(rustix::fs::sendfile(socket.as_fd(), file, Some(&mut from), count)?)
        })
        .await? as u64;
        if sent == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the segment is shorter than its index says"));
        }
        position += sent;
        left = left.saturating_sub(sent);
    }
    Ok(())
}

async fn copy(socket: &TcpStream, slice: &ReadSlice, patience: Duration) -> io::Result<()> {
    let (mut position, mut left) = (slice.position, slice.len);
    let mut buffer = Vec::new();
    while left > 0 {
        let len = usize::try_from(left).map_or(COPY_STEP, |left| left.min(COPY_STEP));
        buffer.resize(len, 0);
        slice.file.read_exact_at(&mut buffer, position)?;
        send(socket, &buffer, SendFlags::empty(), patience).await?;
        position += len as u64;
        left -= len as u64;
    }
    Ok(())
}

/// Repeats a nonblocking call until the socket takes something.
async fn step(
    socket: &TcpStream,
    patience: Duration,
    mut call: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match socket.try_io(Interest::WRITABLE, &mut call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        }
        timeout(patience, socket.writable())
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client takes no response"))??;
    }
}
