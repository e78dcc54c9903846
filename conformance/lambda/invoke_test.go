package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// lambdaURL returns the address of the Lambda API.
func (s *server) lambdaURL() string { return s.Line(`^the Lambda API on (http://\S+)$`) }

// client returns an SDK client, configured as in any program that uses the SDK.
func client(url, secret string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint:     aws.String(url),
		Region:           "eu-central-1",
		RetryMaxAttempts: 1,
		Credentials:      credentials.NewStaticCredentialsProvider(keyID, secret, ""),
	})
}

// serveSigned runs a server with a key and a worker of the function fn. It returns a client.
func serveSigned(t *testing.T) (*server, *sdk.Client) {
	t.Helper()
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--lambda-key", keyID+":"+secret)
	work(t, s.addFunction("fn"))
	return s, client(s.lambdaURL(), secret)
}

func TestInvoke(t *testing.T) {
	_, c := serveSigned(t)
	out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn"), Payload: []byte(`{"a": [1, "ü"]}`)})
	require.NoError(t, err)
	require.EqualValues(t, 200, out.StatusCode)
	require.JSONEq(t, `{"a": [1, "ü"]}`, string(out.Payload))
	require.Nil(t, out.FunctionError)
	require.Equal(t, "$LATEST", *out.ExecutedVersion)

	for _, name := range []string{"arn:aws:lambda:eu-central-1:123456789012:function:fn", "123456789012:function:fn", "fn:$LATEST"} {
		out, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String(name), Payload: []byte(`1`)})
		require.NoError(t, err, name)
		require.Equal(t, "1", string(out.Payload))
	}
	out, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn"), Qualifier: aws.String("$LATEST")})
	require.NoError(t, err, "without a payload")
	require.JSONEq(t, `{}`, string(out.Payload))

	clientContext := base64.StdEncoding.EncodeToString([]byte("{\"custom\":\n{\"k\":\"v\"}}"))
	out, err = c.Invoke(t.Context(), &sdk.InvokeInput{
		FunctionName:  aws.String("fn"),
		Payload:       []byte(`{"do":"context"}`),
		ClientContext: &clientContext,
		LogType:       types.LogTypeTail,
	})
	require.NoError(t, err)
	var lc struct{ AwsRequestID, InvokedFunctionArn string }
	require.NoError(t, json.Unmarshal(out.Payload, &lc))
	require.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:fn", lc.InvokedFunctionArn)
	require.Contains(t, string(out.Payload), `"k":"v"`)
	log, err := base64.StdEncoding.DecodeString(*out.LogResult)
	require.NoError(t, err)
	require.Contains(t, string(log), "START RequestId: "+lc.AwsRequestID+" Version: $LATEST\n")
	require.Contains(t, string(log), "REPORT RequestId: ")
}

func TestInvokeFailures(t *testing.T) {
	s, c := serveSigned(t)
	invoke := func(payload string) (failure string, output map[string]any) {
		out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn"), Payload: []byte(payload)})
		require.NoError(t, err)
		require.EqualValues(t, 200, out.StatusCode)
		require.NoError(t, json.Unmarshal(out.Payload, &output))
		return aws.ToString(out.FunctionError), output
	}
	failure, output := invoke(`{"do":"fail","text":"no luck"}`)
	require.Equal(t, "Unhandled", failure)
	require.Equal(t, map[string]any{"errorMessage": "no luck", "errorType": "errorString"}, output)
	failure, output = invoke(`{"do":"stream","bytes":2000000,"text":""}`)
	require.Equal(t, []any{"Unhandled", "Function.ResponseSizeTooLarge"}, []any{failure, output["errorType"]})
	addr := s.addFunction("fn") // a worker exits when its answer is refused
	work(t, addr)
	failure, output = invoke(`{"do":"large","bytes":7000000}`)
	require.Equal(t, []any{"Unhandled", "Function.ResponseSizeTooLarge"}, []any{failure, output["errorType"]})
	work(t, addr)
	failure, output = invoke(`{"do":"exit"}`)
	require.Equal(t, []any{"Unhandled", "Runtime.ExitError"}, []any{failure, output["errorType"]})
	s.addFunction("fn", "--timeout", "1s")
	work(t, addr)
	failure, output = invoke(`{"do":"hang"}`)
	require.Equal(t, []any{"Unhandled", "Sandbox.Timedout"}, []any{failure, output["errorType"]})
	failure, _ = invoke(`{}`)
	require.Empty(t, failure, "the worker has lived through it")
}

func TestInvokeRefusals(t *testing.T) {
	s, c := serveSigned(t)
	invoke := func(c *sdk.Client, in sdk.InvokeInput) error {
		if in.FunctionName == nil {
			in.FunctionName = aws.String("fn")
		}
		_, err := c.Invoke(t.Context(), &in)
		return err
	}
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{FunctionName: aws.String("other")}), &missing)
	require.Contains(t, missing.ErrorMessage(), "function:other")
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{Qualifier: aws.String("prod")}), &missing)
	var content *types.InvalidRequestContentException
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{Payload: []byte(`{"a":`)}), &content)
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{ClientContext: aws.String("%")}), &content)
	var value *types.InvalidParameterValueException
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{InvocationType: "Other"}), &value)
	var large *types.RequestTooLargeException
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{Payload: []byte(`"` + strings.Repeat("x", 6<<20) + `"`)}), &large)
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{Payload: []byte(`"` + strings.Repeat("x", 1<<20) + `"`), InvocationType: types.InvocationTypeEvent}), &large)
	require.ErrorContains(t, invoke(client(s.lambdaURL(), "another secret"), sdk.InvokeInput{}), "InvalidSignatureException")

	s.addFunction("idle", "--timeout", "50ms")
	var throttled *types.TooManyRequestsException
	require.ErrorAs(t, invoke(c, sdk.InvokeInput{FunctionName: aws.String("idle")}), &throttled)
	require.NotEmpty(t, aws.ToString(throttled.RetryAfterSeconds))

	resp, err := http.Post(s.lambdaURL()+"/2015-03-31/functions/fn/invocations", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 403, resp.StatusCode)
	require.Equal(t, "MissingAuthenticationTokenException", resp.Header.Get("X-Amzn-ErrorType"))
}

func TestDryRunAndEvent(t *testing.T) {
	data := t.TempDir()
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--data", data) // without a key, processes of this machine may invoke
	work(t, s.addFunction("fn"))
	c := client(s.lambdaURL(), secret)
	out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn"), InvocationType: types.InvocationTypeDryRun})
	require.NoError(t, err)
	require.EqualValues(t, 204, out.StatusCode)
	out, err = c.Invoke(t.Context(), &sdk.InvokeInput{
		FunctionName:   aws.String("fn"),
		InvocationType: types.InvocationTypeEvent,
		Payload:        []byte(`{"do":"fail","text":"no luck"}`),
	})
	require.NoError(t, err)
	require.EqualValues(t, 202, out.StatusCode)
	legacy, err := c.InvokeAsync(t.Context(), &sdk.InvokeAsyncInput{FunctionName: aws.String("fn"), InvokeArgs: strings.NewReader(`{"a":1}`)})
	require.NoError(t, err)
	require.EqualValues(t, 202, legacy.Status)

	letters := func() string {
		text, err := os.ReadFile(data + "/lambda/dead-letters.jsonl")
		require.NoError(t, err)
		return string(text)
	}
	require.Eventually(t, func() bool { return letters() != "" }, program.HangTimeout, 10*time.Millisecond, "after two more attempts")
	require.Equal(t, 1, strings.Count(letters(), "\n"))
	var letter struct {
		RequestContext struct {
			Condition              string
			ApproximateInvokeCount int
		}
		RequestPayload  map[string]any
		ResponsePayload map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(letters()), &letter))
	require.Equal(t, "RetriesExhausted", letter.RequestContext.Condition)
	require.Equal(t, 3, letter.RequestContext.ApproximateInvokeCount)
	require.Equal(t, "fail", letter.RequestPayload["do"])
	require.Equal(t, "no luck", letter.ResponsePayload["errorMessage"])
}

func TestInvokeWithResponseStream(t *testing.T) {
	_, c := serveSigned(t)
	invoke := func(payload string) (output string, complete types.InvokeWithResponseStreamCompleteEvent) {
		out, err := c.InvokeWithResponseStream(t.Context(), &sdk.InvokeWithResponseStreamInput{
			FunctionName: aws.String("fn"),
			Payload:      []byte(payload),
			LogType:      types.LogTypeTail,
		})
		require.NoError(t, err)
		stream := out.GetStream()
		defer stream.Close()
		ended := false
		for e := range stream.Events() {
			switch e := e.(type) {
			case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
				output += string(e.Value.Payload)
			case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
				complete, ended = e.Value, true
			}
		}
		require.NoError(t, stream.Err())
		require.True(t, ended)
		return output, complete
	}
	output, complete := invoke(`{"a":1}`)
	require.JSONEq(t, `{"a":1}`, output)
	require.Nil(t, complete.ErrorCode)
	require.NotEmpty(t, *complete.LogResult)
	output, complete = invoke(`{"do":"fail","text":"no luck"}`)
	require.Empty(t, output)
	require.Equal(t, "Unhandled", *complete.ErrorCode)
	require.Contains(t, *complete.ErrorDetails, "no luck")
	var missing *types.ResourceNotFoundException
	_, err := c.InvokeWithResponseStream(t.Context(), &sdk.InvokeWithResponseStreamInput{FunctionName: aws.String("other")})
	require.ErrorAs(t, err, &missing)
}

// TestInvokeOtherKinds checks that services other than functions take events in payload format 2.0.
func TestInvokeOtherKinds(t *testing.T) {
	s, c := serveSigned(t)
	s.Vespo("add", "behind", "--upstream", s.URL)
	out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("behind"),
		Payload: []byte(`{"version":"2.0","rawPath":"/fn/x","headers":{"content-type":"text/plain"},"requestContext":{"http":{"method":"PUT"}},"body":"hi"}`)})
	require.NoError(t, err)
	require.Nil(t, out.FunctionError)
	var a struct {
		StatusCode int
		Headers    map[string]string
		Cookies    []string
		Body       string
	}
	require.NoError(t, json.Unmarshal(out.Payload, &a))
	require.Equal(t, 201, a.StatusCode, string(out.Payload))
	require.Equal(t, "/x hi []", a.Body)
	require.Equal(t, "PUT", a.Headers["x-method"])
	require.Equal(t, []string{"a=1", "b=2"}, a.Cookies)
	var content *types.InvalidRequestContentException
	_, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("behind"), Payload: []byte(`[]`)})
	require.ErrorAs(t, err, &content)
}

// TestPresigned checks a presigned URL, for clients without the secret.
func TestPresigned(t *testing.T) {
	s, _ := serveSigned(t)
	r, err := http.NewRequest("POST", s.lambdaURL()+"/2015-03-31/functions/fn/invocations?X-Amz-Expires=60", nil)
	require.NoError(t, err)
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	url, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, r, emptyHash,
		"lambda", "eu-central-1", time.Now())
	require.NoError(t, err)
	for body, want := range map[string]int{"": 200, "{}": 403} {
		resp, err := http.Post(url, "", strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}
