package guest_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func ExampleRequest() {
	handler := func(w *guest.Response, r *guest.Request) {
		fmt.Fprintln(w, "method:", r.Method())
		fmt.Fprintln(w, "URI:   ", r.URI())
		fmt.Fprintln(w, "path:  ", r.Path())
		fmt.Fprintln(w, "query: ", r.Query())
		fmt.Fprintln(w, "client:", r.RemoteAddr(), "with", r.Proto())
		fmt.Fprintln(w, "accept:", r.Header.Get("Accept"))
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Method: "PUT",
		URI:    "/shop/item%201?colour=red",
		Header: map[string][]string{"Accept": {"text/plain"}},
	})
	fmt.Print(answer.Body)
	// Output:
	// method: PUT
	// URI:    /shop/item%201?colour=red
	// path:   /shop/item%201
	// query:  colour=red
	// client: 192.0.2.1:1234 with HTTP/1.1
	// accept: text/plain
}

// Show the request id with an error, so that the user can name it and you can find the log lines of the request.
func ExampleRequest_ID() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.Text(500, "The order was not stored. If you report this, give the id "+r.ID()+".\n")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Header: map[string][]string{"X-Request-Id": {"1a172dbbfdbd4160"}}, // the server sets it
	})
	fmt.Print(answer.Body)
	// Output: The order was not stored. If you report this, give the id 1a172dbbfdbd4160.
}

// A Request is an io.Reader of the body. Read the body in pieces to process bodies of any size in constant memory.
func ExampleRequest_Read() {
	handler := func(w *guest.Response, r *guest.Request) {
		lines := 0
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			lines += strings.Count(string(buf[:n]), "\n")
			if err == io.EOF {
				break
			}
		}
		w.Text(200, strconv.Itoa(lines)+" lines\n")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Method: "POST",
		Body:   strings.NewReader("one\ntwo\nthree\n"),
	})
	fmt.Print(answer.Body)
	// Output: 3 lines
}

// Rand is seeded for each request, so the snapshot does not repeat its numbers. Do not use it for secrets.
func ExampleRequest_Rand() {
	handler := func(w *guest.Response, r *guest.Request) {
		die := r.Rand().IntN(6) + 1
		w.WriteString(strconv.Itoa(die))
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	die, err := strconv.Atoi(answer.Body)
	fmt.Println(die >= 1 && die <= 6, err)
	// Output: true <nil>
}

func ExampleRequest_Pass() {
	handler := func(w *guest.Response, r *guest.Request) {
		if r.Method() != "GET" {
			w.Text(405, "read only\n")
			return
		}
		r.Header.Set("x-checked", "yes")
		r.Pass()
	}
	service := &guesttest.Answer{Body: "from the service\n"}
	for _, method := range []string{"GET", "DELETE"} {
		answer := guesttest.ServeWith(handler, &guesttest.Request{Method: method, Behind: service})
		fmt.Print(answer.Passed, " ", answer.Status, " ", answer.Body)
	}
	// Output:
	// true 200 from the service
	// false 405 read only
}

func ExampleResponse() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.SetStatus(201)
		w.Header.Set("content-type", "application/json")
		w.WriteString(`{"id":7}`)
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{Method: "POST"})
	fmt.Println(answer.Status, answer.Header["content-type"], answer.Body)
	// Output: 201 [application/json] {"id":7}
}

// Flush passes each event to the host. Without it, the events would be sent together when the handler returns.
func ExampleResponse_Flush() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.Header.Set("content-type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: event %d\n\n", i)
			w.Flush()
		}
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Println(len(answer.Body), "bytes in", answer.Writes, "writes")
	// Output: 45 bytes in 3 writes
}

// io.Copy calls ReadFrom. It sends the data as it arrives, in constant memory.
func ExampleResponse_ReadFrom() {
	echo := func(w *guest.Response, r *guest.Request) {
		if _, err := io.Copy(w, r); err != nil {
			panic(err)
		}
	}
	answer := guesttest.ServeWith(echo, &guesttest.Request{Method: "POST", Body: strings.NewReader("a body")})
	fmt.Println(answer.Body)
	// Output: a body
}

func ExampleResponse_Text() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.Text(404, "no such item\n")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Print(answer.Status, " ", answer.Header["content-type"], " ", answer.Body)
	// Output: 404 [text/plain; charset=utf-8] no such item
}

func ExampleHeader() {
	handler := func(w *guest.Response, r *guest.Request) {
		for _, name := range r.Header.Names() {
			fmt.Fprintln(w, name, r.Header.Values(name))
		}
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{Header: map[string][]string{
		"Accept": {"text/html", "text/plain"},
		"Host":   {"example.com"},
	}})
	fmt.Print(answer.Body)
	// Output:
	// accept [text/html text/plain]
	// host [example.com]
}

// Use Add for fields with several values, such as cookies.
func ExampleHeader_Add() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.Header.Add("Set-Cookie", "a=1")
		w.Header.Add("Set-Cookie", "b=2")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Println(answer.Header["set-cookie"])
	// Output: [a=1 b=2]
}

// Trailers of the request are available at the end of its body. Trailers of the response may be set until the handler
// returns.
func ExampleEnableTrailers() {
	handler := func(w *guest.Response, r *guest.Request) {
		if !guest.EnableTrailers() {
			w.Text(501, "this host does not support trailers\n")
			return
		}
		n, _ := io.Copy(w, r)
		w.Trailer.Set("x-bytes", strconv.FormatInt(n, 10))
		w.Trailer.Set("x-received", r.Trailer.Get("x-checksum"))
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Method:  "POST",
		Body:    strings.NewReader("a body"),
		Trailer: map[string][]string{"X-Checksum": {"1f2e"}},
	})
	fmt.Println(answer.Body, answer.Trailer["x-bytes"], answer.Trailer["x-received"])
	// Output: a body [6] [1f2e]
}

func ExampleLog() {
	handler := func(w *guest.Response, r *guest.Request) {
		guest.Log(guest.LevelWarn, "the stock is low")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Println(answer.Log[0].Text)
	// Output: the stock is low
}

func ExampleLogEnabled() {
	handler := func(w *guest.Response, r *guest.Request) {
		if guest.LogEnabled(guest.LevelDebug) {
			guest.Log(guest.LevelDebug, "headers: "+strings.Join(r.Header.Names(), ", "))
		}
	}
	request := &guesttest.Request{Header: map[string][]string{"Accept": {"*/*"}, "Host": {"example.com"}}}
	answer := guesttest.ServeWith(handler, request) // the default level is info
	fmt.Println(len(answer.Log), "messages")

	request.LogLevel = guest.LevelDebug
	answer = guesttest.ServeWith(handler, request)
	fmt.Println(answer.Log[0].Text)
	// Output:
	// 0 messages
	// headers: accept, host
}

// LogWriter connects the packages log and log/slog to the service's log.
func ExampleLogWriter() {
	errors := log.New(guest.LogWriter(guest.LevelError), "shop: ", 0)
	infos := slog.New(slog.NewTextHandler(guest.LogWriter(guest.LevelInfo), &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // the host adds the time
			}
			return a
		},
	}))
	handler := func(w *guest.Response, r *guest.Request) {
		errors.Print("no connection")
		infos.Info("item sold", "id", 7)
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	for _, message := range answer.Log {
		fmt.Println(message.Text)
	}
	// Output:
	// shop: no connection
	// level=INFO msg="item sold" id=7
}

func ExampleConfig() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.WriteString("configured with " + string(guest.Config()))
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{Config: []byte(`{"colour":"red"}`)})
	fmt.Println(answer.Body)
	// Output: configured with {"colour":"red"}
}

// A panic after part of the body was sent closes the connection, so that the client can detect the incomplete response.
// ErrAbort does this without a log message.
func Example_abort() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.WriteString("part")
		w.Flush()
		panic(guest.ErrAbort)
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Println(answer.Ended, answer.Body, len(answer.Log))
	// Output: true part 0
}
