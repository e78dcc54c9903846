// Command bootstrap is a Lambda function made with aws-lambda-go. It knows nothing of Vespo.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// command is an event that says what to do; an HTTP request has none, and its path says it.
type command struct {
	Do      string `json:"do"`
	Text    string `json:"text"`
	Bytes   int    `json:"bytes"`
	RawPath string `json:"rawPath"`
}

func main() { lambda.Start(handle) }

func handle(ctx context.Context, event json.RawMessage) (any, error) {
	var c command
	_ = json.Unmarshal(event, &c) // an event of another form has no command
	switch {
	case c.RawPath == "/stream":
		return stream()
	case c.RawPath != "":
		return answer(ctx, event, strings.TrimPrefix(c.RawPath, "/"))
	}
	return carryOut(ctx, c, event)
}

// carryOut does what an event that is no HTTP request wants.
func carryOut(ctx context.Context, c command, event json.RawMessage) (any, error) {
	switch c.Do {
	case "fail":
		return nil, errors.New(c.Text)
	case "panic":
		panic(c.Text)
	case "exit":
		os.Exit(7)
	case "print":
		fmt.Println(c.Text)
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	case "hang": // an error at the deadline might be told before the server notices
		<-ctx.Done()
		<-time.After(time.Second / 2)
		return nil, ctx.Err()
	case "large":
		return strings.Repeat("x", c.Bytes), nil
	case "stream":
		return &failing{from: strings.NewReader(strings.Repeat("piece ", c.Bytes)), fail: c.Text}, nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		return lc, nil
	}
	return event, nil
}

// answer answers an HTTP request.
func answer(ctx context.Context, event json.RawMessage, what string) (any, error) {
	var r events.LambdaFunctionURLRequest
	if err := json.Unmarshal(event, &r); err != nil {
		return nil, err
	}
	switch what {
	case "plain":
		return map[string]string{"path": r.RawPath}, nil
	case "slow":
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
	case "fail", "exit", "panic", "wait":
		return carryOut(ctx, command{Do: what, Text: "secret"}, nil)
	}
	return events.LambdaFunctionURLResponse{
		StatusCode: 201, Headers: map[string]string{"X-Method": r.RequestContext.HTTP.Method, "Content-Type": "text/plain"},
		Cookies: []string{"a=1", "b=2"}, Body: fmt.Sprintf("%s %s %v", r.RawPath, r.Body, r.Cookies),
	}, nil
}

// stream answers an HTTP request piece by piece.
func stream() (any, error) {
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: 202, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"c=3"},
		Body: strings.NewReader(strings.Repeat("piece ", 100_000)),
	}, nil
}

// failing is a stream that ends with an error, if fail says one.
type failing struct {
	from io.Reader // not exported: a value that can be written as JSON is no stream to aws-lambda-go
	fail string
}

// Read implements io.Reader.
func (f *failing) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	if errors.Is(err, io.EOF) && f.fail != "" {
		return n, errors.New(f.fail)
	}
	return n, err
}
