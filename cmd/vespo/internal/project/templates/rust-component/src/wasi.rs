//! A request and its response, on the interfaces of wit/world.wit.
#![allow(dead_code)]

use std::alloc::{alloc, realloc, Layout};
use std::ptr::null;

// Functions of the interfaces, as the canonical ABI lowers them. A result that is not one number goes to the last parameter.
#[link(wasm_import_module = "wasi:http/types@0.2.0")]
extern "C" {
    #[link_name = "[method]incoming-request.method"]
    fn request_method(request: i32, result: *mut Area);
    #[link_name = "[method]incoming-request.path-with-query"]
    fn request_path(request: i32, result: *mut Area);
    #[link_name = "[method]incoming-request.headers"]
    fn request_headers(request: i32) -> i32;
    #[link_name = "[method]incoming-request.consume"]
    fn request_consume(request: i32, result: *mut Area);
    #[link_name = "[resource-drop]incoming-request"]
    fn request_drop(request: i32);
    #[link_name = "[method]incoming-body.stream"]
    fn body_stream(body: i32, result: *mut Area);
    #[link_name = "[resource-drop]incoming-body"]
    fn incoming_body_drop(body: i32);
    #[link_name = "[static]fields.from-list"]
    fn fields_from_list(entries: *const Entry, len: usize, result: *mut Area);
    #[link_name = "[method]fields.entries"]
    fn fields_entries(fields: i32, result: *mut Area);
    #[link_name = "[resource-drop]fields"]
    fn fields_drop(fields: i32);
    #[link_name = "[constructor]outgoing-response"]
    fn response_new(fields: i32) -> i32;
    #[link_name = "[method]outgoing-response.set-status-code"]
    fn response_set_status(response: i32, status: i32) -> i32;
    #[link_name = "[method]outgoing-response.body"]
    fn response_body(response: i32, result: *mut Area);
    #[link_name = "[method]outgoing-body.write"]
    fn body_write(body: i32, result: *mut Area);
    #[link_name = "[static]outgoing-body.finish"]
    fn body_finish(body: i32, has_trailers: i32, trailers: i32, result: *mut Area);
    #[link_name = "[static]response-outparam.set"]
    fn outparam_set(out: i32, is_error: i32, value: i32, _: i32, _: i64, _: i32, _: i32, _: i32, _: i32);
}

#[link(wasm_import_module = "wasi:io/streams@0.2.0")]
extern "C" {
    #[link_name = "[method]input-stream.blocking-read"]
    fn stream_read(stream: i32, limit: i64, result: *mut Area);
    #[link_name = "[resource-drop]input-stream"]
    fn input_drop(stream: i32);
    #[link_name = "[method]output-stream.check-write"]
    fn stream_check(stream: i32, result: *mut Area);
    #[link_name = "[method]output-stream.write"]
    fn stream_write(stream: i32, data: *const u8, len: usize, result: *mut Area);
    #[link_name = "[method]output-stream.blocking-flush"]
    fn stream_flush(stream: i32, result: *mut Area);
    #[link_name = "[method]output-stream.subscribe"]
    fn stream_subscribe(stream: i32) -> i32;
    #[link_name = "[resource-drop]output-stream"]
    fn output_drop(stream: i32);
}

#[link(wasm_import_module = "wasi:io/poll@0.2.0")]
extern "C" {
    #[link_name = "[method]pollable.block"]
    fn poll_block(pollable: i32);
    #[link_name = "[resource-drop]pollable"]
    fn poll_drop(pollable: i32);
}

#[repr(C, align(8))]
#[derive(Default)]
struct Area([u32; 12]);

impl Area {
    fn failed(&self) -> bool {
        self.0[0] & 0xff != 0
    }

    /// Takes memory that the host has allocated for a list. Its address is in a word, its length in the next one.
    unsafe fn bytes(&self, word: usize) -> Vec<u8> {
        take(self.0[word], self.0[word + 1])
    }
}

#[repr(C)]
struct Entry {
    name: *const u8,
    name_len: usize,
    value: *const u8,
    value_len: usize,
}

unsafe fn take(at: u32, len: u32) -> Vec<u8> {
    if len == 0 {
        return Vec::new();
    }
    Vec::from_raw_parts(at as *mut u8, len as usize, len as usize)
}

unsafe fn text(at: u32, len: u32) -> String {
    String::from_utf8_lossy(&take(at, len)).into_owned()
}

/// The host allocates strings and lists with it.
#[no_mangle]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    if new_len == 0 {
        return align as *mut u8;
    }
    let new = if old_len == 0 {
        alloc(Layout::from_size_align_unchecked(new_len, align))
    } else {
        realloc(old, Layout::from_size_align_unchecked(old_len, align), new_len)
    };
    if new == null::<u8>() as *mut u8 {
        std::process::abort();
    }
    new
}

/// A request.
pub struct Request {
    handle: i32,
    body: Option<(i32, i32)>, // body and stream, once it is read
    pub method: String,
    /// With the query.
    pub path: String,
}

impl Request {
    unsafe fn new(handle: i32) -> Request {
        const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
        let mut r = Area::default();
        request_method(handle, &mut r);
        let method = match METHODS.get((r.0[0] & 0xff) as usize) {
            Some(name) => name.to_string(),
            None => text(r.0[1], r.0[2]),
        };
        request_path(handle, &mut r);
        let path = if r.failed() { text(r.0[1], r.0[2]) } else { "/".to_string() }; // here the byte means "some"
        Request { handle, body: None, method, path }
    }

    /// The header fields, with names in lower case.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut r = Area::default();
        unsafe {
            let fields = request_headers(self.handle);
            fields_entries(fields, &mut r);
            fields_drop(fields);
            let words: Vec<u32> = r.bytes_of_entries();
            words.chunks(4).map(|e| (text(e[0], e[1]), take(e[2], e[3]))).collect()
        }
    }

    /// The next piece of the body; an empty one at its end, None if it is broken off.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        let mut r = Area::default();
        unsafe {
            if self.body.is_none() {
                request_consume(self.handle, &mut r);
                if r.failed() {
                    return None;
                }
                let body = r.0[1] as i32;
                body_stream(body, &mut r);
                self.body = Some((body, r.0[1] as i32));
            }
            stream_read(self.body?.1, 64 << 10, &mut r);
            match (r.failed(), r.0[1] & 0xff) {
                (false, _) => Some(r.bytes(1)),
                (true, 1) => Some(Vec::new()), // closed
                _ => None,
            }
        }
    }
}

impl Area {
    unsafe fn bytes_of_entries(&self) -> Vec<u32> {
        let words = self.0[1] as usize * 4;
        if words == 0 {
            return Vec::new();
        }
        Vec::from_raw_parts(self.0[0] as *mut u32, words, words)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        unsafe {
            if let Some((body, stream)) = self.body {
                input_drop(stream);
                incoming_body_drop(body);
            }
            request_drop(self.handle);
        }
    }
}

/// A response.
pub struct Response {
    out: i32,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    sent: Option<(i32, i32)>, // body and stream
    gone: bool,
}

impl Response {
    /// The status is 200 unless it is set before the first piece of the body.
    pub fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// Adds a header field, before the first piece of the body.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.headers.push((name.to_string(), value.as_ref().to_vec()));
    }

    /// Sends a piece of the body. Returns false if the client is gone.
    pub fn write(&mut self, mut data: &[u8]) -> bool {
        let (_, stream) = self.send();
        let mut r = Area::default();
        while !data.is_empty() && !self.gone {
            unsafe {
                stream_check(stream, &mut r);
                if r.failed() {
                    self.gone = true;
                    break;
                }
                let ready = if r.0[3] > 0 { data.len() } else { data.len().min(r.0[2] as usize) };
                if ready == 0 {
                    let pollable = stream_subscribe(stream);
                    poll_block(pollable);
                    poll_drop(pollable);
                    continue;
                }
                stream_write(stream, data.as_ptr(), ready, &mut r);
                self.gone = r.failed();
                data = &data[ready..];
            }
        }
        !self.gone
    }

    /// Sends the status and the header fields, once.
    fn send(&mut self) -> (i32, i32) {
        if let Some(sent) = self.sent {
            return sent;
        }
        let entries: Vec<Entry> = self
            .headers
            .iter()
            .map(|(name, value)| Entry { name: name.as_ptr(), name_len: name.len(), value: value.as_ptr(), value_len: value.len() })
            .collect();
        let mut r = Area::default();
        unsafe {
            fields_from_list(entries.as_ptr(), entries.len(), &mut r);
            assert!(!r.failed(), "a header field is not valid");
            let response = response_new(r.0[1] as i32);
            response_set_status(response, self.status.into());
            response_body(response, &mut r);
            let body = r.0[1] as i32;
            outparam_set(self.out, 0, response, 0, 0, 0, 0, 0, 0);
            body_write(body, &mut r);
            *self.sent.insert((body, r.0[1] as i32))
        }
    }
}

#[export_name = "wasi:http/incoming-handler@0.2.0#handle"]
unsafe extern "C" fn incoming_handler_handle(request: i32, out: i32) {
    let mut request = Request::new(request);
    let mut response = Response { out, status: 200, headers: Vec::new(), sent: None, gone: false };
    crate::handle(&mut request, &mut response);
    let (body, stream) = response.send();
    let mut r = Area::default();
    if !response.gone {
        stream_flush(stream, &mut r);
    }
    output_drop(stream);
    body_finish(body, 0, 0, &mut r);
}
