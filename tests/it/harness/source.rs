//! A source of feeds on a real socket: answers with the very bytes that a test
//! wrote, and remembers what it was asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub target: String,
    /// Lower-case names.
    pub headers: HashMap<String, String>,
}

/// A server whose answers a test writes.
pub struct Source {
    pub address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Source {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback");
        let address = listener.local_addr().expect("a bound address");
        let source = Self { address, answers: Arc::default(), asked: Arc::default() };
        let (answers, asked) = (source.answers.clone(), source.asked.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(mut socket) = socket else { return };
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let mut lines = head.lines();
                let target = lines.next().and_then(|l| l.split(' ').nth(1)).unwrap_or_default().to_owned();
                let headers = lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
                let answer = answers.lock().unwrap().get(&target).cloned().unwrap_or_else(|| status(404, &[]));
                asked.lock().unwrap().push(Asked { target, headers });
                // Whoever asked may have gone away.
                let _ = socket.write_all(&answer);
            }
        });
        source
    }

    /// From now on `target` is answered with these bytes.
    pub fn answers(&self, target: &str, bytes: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().insert(target.to_owned(), bytes.into());
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }
}

/// A 200 with this body.
pub fn ok(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(n, v)| out.push_str(&format!("{n}: {v}\r\n")));
    let mut out = (out + "\r\n").into_bytes();
    out.extend_from_slice(body);
    out
}

/// An answer without a body.
pub fn status(code: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: 0\r\n");
    headers.iter().for_each(|(n, v)| out.push_str(&format!("{n}: {v}\r\n")));
    (out + "\r\n").into_bytes()
}
