//! What a service can ask the host for: a part of the http-wasm HTTP handler ABI, https://http-wasm.io/http-handler-abi/.
#![allow(dead_code)] // a service uses what it needs

mod imports {
    #[link(wasm_import_module = "http_handler")]
    extern "C" {
        pub fn get_method(buf: *mut u8, limit: usize) -> usize;
        pub fn get_uri(buf: *mut u8, limit: usize) -> usize;
        pub fn set_header_value(kind: u32, name: *const u8, name_len: usize, value: *const u8, value_len: usize);
        pub fn read_body(kind: u32, buf: *mut u8, limit: usize) -> u64;
        pub fn write_body(kind: u32, body: *const u8, body_len: usize);
        pub fn set_status_code(status: u32);
    }
}

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

/// The request's method, such as GET.
pub fn method() -> String {
    text(imports::get_method)
}

/// Path and query as the client sent them.
pub fn uri() -> String {
    text(imports::get_uri)
}

/// The request's whole body.
pub fn body() -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let got = unsafe { imports::read_body(REQUEST, piece.as_mut_ptr(), piece.len()) };
        all.extend_from_slice(&piece[..got as u32 as usize]); // the upper half tells whether this was the last piece
        if got >> 32 != 0 {
            return all;
        }
    }
}

/// Sets the answer's status, from 200 to 599; 200 if it is not set.
pub fn set_status(status: u16) {
    unsafe { imports::set_status_code(status.into()) }
}

/// Sets a header of the answer.
pub fn set_header(name: &str, value: &str) {
    unsafe { imports::set_header_value(RESPONSE, name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

/// Sends a piece of the answer's body. Status and headers are final with the first.
pub fn write(piece: &[u8]) {
    unsafe { imports::write_body(RESPONSE, piece.as_ptr(), piece.len()) }
}

/// A getter returns the value's real length, and writes nothing if that exceeds the limit.
fn text(get: unsafe extern "C" fn(*mut u8, usize) -> usize) -> String {
    let mut buf = vec![0; 256];
    let mut len = unsafe { get(buf.as_mut_ptr(), buf.len()) };
    if len > buf.len() {
        buf.resize(len, 0);
        len = unsafe { get(buf.as_mut_ptr(), buf.len()) };
    }
    buf.truncate(len);
    String::from_utf8_lossy(&buf).into_owned()
}
