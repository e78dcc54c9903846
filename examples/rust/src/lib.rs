//! Responds with the CRC-32 of a POSTed body of any size. It implements http-wasm without other crates.

mod crc32;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod guest {
    use crate::{crc32::Crc32, host};

    /// Called once, before the host takes the snapshot that all requests start from. Initialisation here costs the
    /// requests nothing.
    #[no_mangle]
    pub extern "C" fn _initialize() {
        // A panic ends in a trap, and the client gets status 500. Without this hook the message would be lost.
        std::panic::set_hook(Box::new(|panic| host::log_error(&panic.to_string())));
    }

    /// Called for each request. The result 0 means that the request is answered.
    #[no_mangle]
    pub extern "C" fn handle_request() -> u64 {
        host::set_header("content-type", "text/plain; charset=utf-8");
        if !host::method_is("POST") {
            host::set_status(405);
            host::set_header("allow", "POST");
            host::write("POST something\n");
            return 0;
        }
        let mut sum = Crc32::new();
        let mut buf = vec![0; 16 << 10];
        loop {
            let (piece, ended) = host::read(&mut buf);
            sum.add(piece);
            if ended {
                break;
            }
        }
        host::write(&format!("{:08x}\n", sum.sum()));
        0
    }

    /// Called after a request that was passed on, which does not happen here. Hosts other than Vespo require the export.
    #[no_mangle]
    pub extern "C" fn handle_response(_context: u32, _is_error: u32) {}
}
