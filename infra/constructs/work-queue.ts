import { Duration } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import type { HouseFunction } from './house-function.ts'

/**
 * An asynchronous edge: a queue, its worker, a dead-letter queue that keeps failures for 14 days, and an alarm on the
 * first of them. Redrive with SQS's own StartMessageMoveTask (docs/runbook.md).
 */
export class WorkQueue extends Construct {
  readonly queue: Queue
  readonly deadLetters: Queue
  /** The alarm says who is hurt, not only what broke. */
  readonly alarm: Alarm

  constructor(
    scope: Construct,
    id: string,
    props: { workerTimeout: Duration; maxReceives?: number; errorImpact: string },
  ) {
    super(scope, id)
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    this.queue = new Queue(this, 'Queue', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      // Six times the worker's limit, as Lambda asks for: a slow worker must not see its own message again. Only a worker
      // that died leaves a message hidden for so long; one that failed gives it back (functions/runtime/queue-worker).
      visibilityTimeout: Duration.seconds(props.workerTimeout.toSeconds() * 6),
      retentionPeriod: Duration.days(4),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: props.maxReceives ?? 5 },
    })
    this.alarm = deadLetterAlarm(this, this.deadLetters, props.errorImpact)
  }

  feeds(worker: HouseFunction, options: { batchSize: number; batchWindow?: Duration; maxConcurrency?: number }): void {
    worker.addEnvironment('WORK_QUEUE_URL', this.queue.queueUrl)
    worker.addEventSource(
      new SqsEventSource(this.queue, {
        batchSize: options.batchSize,
        reportBatchItemFailures: true,
        ...(options.batchWindow ? { maxBatchingWindow: options.batchWindow } : {}),
        ...(options.maxConcurrency ? { maxConcurrency: options.maxConcurrency } : {}),
      }),
    )
  }
}

export const deadLetterAlarm = (scope: Construct, queue: Queue, errorImpact: string): Alarm =>
  new Alarm(scope, 'DeadLettersAlarm', {
    alarmDescription: `${errorImpact} Runbook: docs/runbook.md#dead-letters`,
    metric: queue.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(1) }),
    threshold: 1,
    evaluationPeriods: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  })
