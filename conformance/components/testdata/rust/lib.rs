//! The guest of the comparison, in Rust.

mod wasi;

use wasi::{Request, Response};

fn handle(request: &mut Request, response: &mut Response) {
    response.header("content-type", "text/plain");
    let path = request.path.split('?').next().unwrap_or("/").to_string();
    let parts: Vec<&str> = path.split('/').collect();
    match &parts[2..] {
        ["echo"] => {
            response.status(201);
            while let Some(piece) = request.read() {
                if piece.is_empty() {
                    break;
                }
                response.write(&piece);
            }
        }
        ["status", code] => {
            let status: u16 = code.parse().unwrap();
            response.status(status);
            if status != 204 && status != 304 {
                response.write(format!("status {}\n", status).as_bytes());
            }
        }
        ["request"] => {
            let values: Vec<String> = request
                .headers()
                .into_iter()
                .filter(|(name, _)| name == "x-test")
                .map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
                .collect();
            response.write(format!("{} {} {}\n", request.method, request.path, values.join("|")).as_bytes());
        }
        ["fields"] => {
            response.header("x-a", "1");
            response.header("x-a", "2");
            response.header("x-b", "a, b");
            response.write(b"fields\n");
        }
        ["large"] => {
            for _ in 0..1024 {
                response.write("0123456789abcdef".repeat(64).as_bytes());
            }
        }
        ["nothing"] => {}
        _ => {
            response.status(404);
            response.write(b"404 page not found\n");
        }
    }
}
