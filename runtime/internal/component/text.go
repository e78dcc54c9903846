package component

import (
	"fmt"
	"strings"
)

// BuiltinModule is the name of the module that the guest imports built-ins from.
const BuiltinModule = "vespo:canon"

// maxTypeText limits the text of a type. Types that share parts can be much longer than their definitions.
const maxTypeText = 8 << 10

// httpErrorCode is the text of the error-code of wasi:http, which is written "http-error-code".
const httpErrorCode = "variant<DNS-timeout,DNS-error(record<rcode:option<string>,info-code:option<u16>>),destination-not-found," +
	"destination-unavailable,destination-IP-prohibited,destination-IP-unroutable,connection-refused,connection-terminated," +
	"connection-timeout,connection-read-timeout,connection-write-timeout,connection-limit-reached,TLS-protocol-error," +
	"TLS-certificate-error,TLS-alert-received(record<alert-id:option<u8>,alert-message:option<string>>),HTTP-request-denied," +
	"HTTP-request-length-required,HTTP-request-body-size(option<u64>),HTTP-request-method-invalid,HTTP-request-URI-invalid," +
	"HTTP-request-URI-too-long,HTTP-request-header-section-size(option<u32>)," +
	"HTTP-request-header-size(option<record<field-name:option<string>,field-size:option<u32>>>),HTTP-request-trailer-section-size(option<u32>)," +
	"HTTP-request-trailer-size(record<field-name:option<string>,field-size:option<u32>>),HTTP-response-incomplete," +
	"HTTP-response-header-section-size(option<u32>),HTTP-response-header-size(record<field-name:option<string>,field-size:option<u32>>)," +
	"HTTP-response-body-size(option<u64>),HTTP-response-trailer-section-size(option<u32>)," +
	"HTTP-response-trailer-size(record<field-name:option<string>,field-size:option<u32>>),HTTP-response-transfer-coding(option<string>)," +
	"HTTP-response-content-coding(option<string>),HTTP-response-timeout,HTTP-upgrade-failed,HTTP-protocol-error,loop-detected," +
	"configuration-error,internal-error(option<string>)>"

var formNames = map[byte]string{
	FormBool:         "bool",
	0x7e:             "s8",
	0x7d:             "u8",
	0x7c:             "s16",
	0x7b:             "u16",
	0x7a:             "s32",
	0x79:             "u32",
	0x78:             "s64",
	0x77:             "u64",
	0x76:             "f32",
	0x75:             "f64",
	0x74:             "char",
	FormString:       "string",
	FormRecord:       "record",
	FormVariant:      "variant",
	FormList:         "list",
	FormTuple:        "tuple",
	FormFlags:        "flags",
	FormEnum:         "enum",
	FormOption:       "option",
	FormResult:       "result",
	FormOwn:          "own",
	FormBorrow:       "borrow",
	FormFixedList:    "list",
	FormStream:       "stream",
	FormFuture:       "future",
	FormErrorContext: "error-context",
	FormMap:          "map",
}

// text returns a value type as text, such as "result<option<own<wasi:http/types@0.3#fields>>,http-error-code>". Types
// have the same text if they have the same structure. A text that is too long is cut off.
func (t *Type) text() string {
	w := &typeWriter{}
	w.write(t)
	if w.Len() > maxTypeText {
		return w.String()[:maxTypeText] + "..."
	}
	return w.String()
}

type typeWriter struct{ strings.Builder }

func (w *typeWriter) write(t *Type) {
	if w.Len() > maxTypeText {
		return
	}
	if t == nil {
		w.WriteByte('_')
		return
	}
	from := w.Len()
	w.WriteString(formNames[t.Form])
	switch {
	case t.Resource != nil:
		w.WriteString("<" + Track(t.Resource.Interface) + "#" + t.Resource.Name + ">")
	case t.Form == FormResult && t.Fields[0].Type == nil && t.Fields[1].Type == nil:
	case len(t.Fields) == 1 && t.Fields[0].Type == nil && t.Fields[0].Name == "": // stream, future
	case len(t.Fields) > 0:
		w.fields(t)
	}
	if t.Form == FormVariant && w.String()[from:] == httpErrorCode {
		before := w.String()[:from]
		w.Reset()
		w.WriteString(before + "http-error-code")
	}
}

func (w *typeWriter) fields(t *Type) {
	w.WriteByte('<')
	for i, f := range t.Fields {
		if w.Len() > maxTypeText {
			return
		}
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteString(f.Name)
		switch {
		case f.Name == "":
			w.write(f.Type)
		case f.Type == nil:
		case t.Form == FormVariant:
			w.WriteByte('(')
			w.write(f.Type)
			w.WriteByte(')')
		default:
			w.WriteByte(':')
			w.write(f.Type)
		}
	}
	if t.Form == FormFixedList {
		fmt.Fprintf(w, ",%d", t.Length)
	}
	w.WriteByte('>')
}
