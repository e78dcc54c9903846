// Package httpevent converts between HTTP and function events in payload format 2.0, in both
// directions. API Gateway and function URLs use this format (docs.aws.amazon.com, "Working
// with AWS Lambda proxy integrations for HTTP APIs" and "Invoking Lambda function URLs").
//
// It is pure: it neither reads a clock nor blocks. Errors describe
// invalid input of a function or a client, and may be logged.
package httpevent
