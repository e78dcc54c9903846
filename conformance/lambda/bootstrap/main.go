// Command bootstrap is a Lambda function built with aws-lambda-go. It is independent of Vespo.
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

// command is an event with an instruction. In an HTTP request, the path is the instruction.
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

// carryOut executes the command of an event that is not an HTTP request.
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
	case "hang": // an error returned at the deadline could arrive before the server notices the deadline
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
		StatusCode: 201,
		Headers:    map[string]string{"X-Method": r.RequestContext.HTTP.Method, "Content-Type": "text/plain"},
		Cookies:    []string{"a=1", "b=2"},
		Body:       fmt.Sprintf("%s %s %v", r.RawPath, r.Body, r.Cookies),
	}, nil
}

// stream answers an HTTP request in pieces.
func stream() (any, error) {
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: 202,
		Headers:    map[string]string{"Content-Type": "text/plain"},
		Cookies:    []string{"c=3"},
		Body:       strings.NewReader(strings.Repeat("piece ", 100_000)),
	}, nil
}

// failing is a stream that ends with the error fail, if not empty.
type failing struct {
	from io.Reader // not exported: aws-lambda-go does not treat a value that marshals to JSON as a stream
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
