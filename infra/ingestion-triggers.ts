import { Duration } from 'aws-cdk-lib'
import { Rule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction, SfnStateMachine } from 'aws-cdk-lib/aws-events-targets'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions'
import type { Construct } from 'constructs'
import { flowAlarm } from './constructs/flow-alarm.ts'
import type { HouseFunction } from './constructs/house-function.ts'
import { deadLetterAlarm } from './constructs/work-queue.ts'

/**
 * What starts an ingestion, and what notices one that was stopped. Deliveries are tried for two hours (8 times, with
 * EventBridge's own back-off), then lie in a dead-letter queue with an alarm.
 */
export const ingestionTriggers = (
  scope: Construct,
  stateMachine: StateMachine,
  { data, fail }: { data: Bucket; fail: HouseFunction },
): void => {
  const deadLetters = new Queue(scope, 'DeadLetters', {
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
  })
  deadLetterAlarm(scope, deadLetters, 'Uploads lie in quarantine and nobody looks at them.')
  const delivery = { deadLetterQueue: deadLetters, retryAttempts: 8, maxEventAge: Duration.hours(2) }
  new Rule(scope, 'OnUpload', {
    description: 'An upload has arrived in quarantine',
    eventPattern: {
      source: ['aws.s3'],
      detailType: ['Object Created'],
      detail: { bucket: { name: [data.bucketName] }, object: { key: [{ prefix: 'quarantine/' }] } },
    },
    targets: [new SfnStateMachine(stateMachine, delivery)],
  })
  new Rule(scope, 'OnStopped', {
    description: 'An ingestion was stopped from outside and could not record it itself',
    eventPattern: {
      source: ['aws.states'],
      detailType: ['Step Functions Execution Status Change'],
      detail: { stateMachineArn: [stateMachine.stateMachineArn], status: ['TIMED_OUT', 'ABORTED'] },
    },
    targets: [new LambdaFunction(fail, delivery)],
  })
  flowAlarm(
    scope,
    'FailedAlarm',
    stateMachine,
    'A contributor’s upload was rejected through our fault. Runbook: docs/runbook.md#ingestion',
  )
}
