package schedule

import (
	"encoding/json"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/internal/arn"
)

// event is what a function gets from a schedule: a scheduled event of EventBridge (docs.aws.amazon.com, "Invoke a Lambda
// function on a schedule"), with the expression as its detail.
type event struct {
	Version    string            `json:"version"`
	ID         string            `json:"id"`
	DetailType string            `json:"detail-type"`
	Source     string            `json:"source"`
	Account    string            `json:"account"`
	Time       time.Time         `json:"time"`
	Region     string            `json:"region"`
	Resources  []string          `json:"resources"`
	Detail     map[string]string `json:"detail"`
}

// Event returns the event for the function with the key, as JSON.
func (s *Schedule) Event(key routekey.Key, id string, at time.Time) ([]byte, error) {
	return json.Marshal(event{
		Version:    "0",
		ID:         id,
		DetailType: "Scheduled Event",
		Source:     "aws.events",
		Account:    arn.Account,
		Time:       at.UTC().Truncate(time.Second),
		Region:     arn.Region,
		Resources:  []string{"arn:aws:events:" + arn.Region + ":" + arn.Account + ":rule/" + arn.Name(string(key.Prefix))},
		Detail:     map[string]string{"cron": s.Cron},
	})
}
