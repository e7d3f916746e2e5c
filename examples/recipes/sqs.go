package recipes

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// StoreInSQS returns a function for NewHandler and a FIFO queue. The queue rejects
// duplicates for five minutes. A group per notification keeps the queue concurrent.
func StoreInSQS(client *sqs.Client, queueURL string) func(context.Context, *notification.Notification) error {
	return func(ctx context.Context, n *notification.Notification) error {
		input := &sqs.SendMessageInput{QueueUrl: &queueURL, MessageBody: aws.String(string(n.Raw))}
		input.MessageDeduplicationId, input.MessageGroupId = aws.String(n.ID()), aws.String(n.ID())
		input.MessageAttributes = map[string]types.MessageAttributeValue{
			"webhook-id": {DataType: aws.String("String"), StringValue: &n.WebhookID},
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := client.SendMessage(ctx, input); err != nil {
			return fmt.Errorf("%w: %w", notification.ErrUnavailable, err)
		}
		return nil
	}
}
