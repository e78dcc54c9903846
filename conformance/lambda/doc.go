// Package lambda tests functions with Amazon's own libraries: aws-lambda-go as the worker,
// aws-sdk-go-v2 as the caller.
package lambda
