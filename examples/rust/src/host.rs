//! The host functions that this service uses: a part of the http-wasm HTTP handler ABI,
//! <https://http-wasm.io/http-handler-abi/>.
//!
//! The unsafe calls are sound, because the imported functions access only the slices that are passed to them.

mod imports {
    #[link(wasm_import_module = "http_handler")]
    extern "C" {
        pub fn get_method(buf: *mut u8, limit: usize) -> usize;
        pub fn set_header_value(kind: u32, name: *const u8, name_len: usize, value: *const u8, value_len: usize);
        pub fn read_body(kind: u32, buf: *mut u8, limit: usize) -> u64;
        pub fn write_body(kind: u32, body: *const u8, body_len: usize);
        pub fn set_status_code(status: u32);
        pub fn log(level: i32, message: *const u8, message_len: usize);
    }
}

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const ERROR: i32 = 2;

/// Returns whether the request has this method.
pub fn method_is(method: &str) -> bool {
    let mut buf = [0; 16];
    // The result is the length of the method. If it exceeds the buffer, nothing is written.
    let len = unsafe { imports::get_method(buf.as_mut_ptr(), buf.len()) };
    buf.get(..len) == Some(method.as_bytes())
}

/// Reads the next piece of the request's body. Returns it, and whether it is the last one.
pub fn read(buf: &mut [u8]) -> (&[u8], bool) {
    let got = unsafe { imports::read_body(REQUEST, buf.as_mut_ptr(), buf.len()) };
    (&buf[..got as u32 as usize], got >> 32 != 0)
}

/// Sets the status of the response. The default is 200.
pub fn set_status(status: u16) {
    unsafe { imports::set_status_code(status.into()) }
}

/// Sets a header of the response.
pub fn set_header(name: &str, value: &str) {
    unsafe { imports::set_header_value(RESPONSE, name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

/// Sends a piece of the response's body. The status and the headers cannot be changed after the first piece.
pub fn write(piece: &str) {
    unsafe { imports::write_body(RESPONSE, piece.as_ptr(), piece.len()) }
}

/// Writes a message to the service's log, at level error.
pub fn log_error(message: &str) {
    unsafe { imports::log(ERROR, message.as_ptr(), message.len()) }
}
