import { Aws, Duration } from 'aws-cdk-lib'
import type { ITable } from 'aws-cdk-lib/aws-dynamodb'
import { FilterCriteria, FilterRule, StartingPosition } from 'aws-cdk-lib/aws-lambda'
import { DynamoEventSource, SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import type { Doors } from './api.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import { deadLetterAlarm, WorkQueue } from './constructs/work-queue.ts'
import type { Storage } from './storage.ts'

/** From a settled receipt to a completed one: ledger stream -> queue -> worker, and what picks up whoever fell behind. */
export class Attribution extends Construct {
  readonly doors: Doors
  readonly buildShard: HouseFunction
  /** Completed receipts, on their way to the receipt log. */
  readonly receiptLog: WorkQueue

  constructor(scope: Construct, id: string, { storage }: { storage: Storage }) {
    super(scope, id)
    const { registry, ledger, data, models, receipts, transcriptsKey } = storage
    const attributions = new WorkQueue(this, 'Attributions', {
      workerTimeout: Duration.minutes(5),
      errorImpact: 'Contributors are not paid for some answers until these receipts are attributed.',
    })
    this.receiptLog = new WorkQueue(this, 'ReceiptLog', {
      workerTimeout: Duration.minutes(1),
      errorImpact: 'The epoch cannot close: completed receipts are missing in its log.',
    })

    const worker = new HouseFunction(this, 'Attribute', {
      door: 'attribution/attribute-receipts',
      description: 'Provenance, influence and shares of settled receipts',
      environment: {
        LEDGER_TABLE: ledger.tableName,
        REGISTRY_TABLE: registry.tableName,
        DATA_BUCKET: data.bucketName,
        MODELS_BUCKET: models.bucketName,
        RECEIPTS_BUCKET: receipts.bucketName,
      },
      timeout: Duration.minutes(5),
      memoryMb: 2048,
    })
      .allow(['dynamodb:GetItem', 'dynamodb:UpdateItem'], [ledger.tableArn])
      .allow(['dynamodb:GetItem', 'dynamodb:Query'], [registry.tableArn])
      .allow(
        ['s3:GetObject'],
        [
          data.arnForObjects('datanets/*'),
          models.arnForObjects('bases/*/unigram.bin'),
          receipts.arnForObjects('transcripts/*'),
        ],
      )
      // Without it S3 answers 403 for a missing object, and a gone transcript would look like a fault.
      .allow(['s3:ListBucket'], [data.bucketArn, receipts.bucketArn])
      .allow(['kms:Decrypt'], [transcriptsKey.keyArn])
      .allow(
        ['sagemaker:InvokeEndpoint'],
        [`arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}:endpoint/*`],
      )
    const { batchSize, batchSeconds, concurrency } = House.of(this).config.attribution
    attributions.feeds(worker, {
      batchSize,
      batchWindow: Duration.seconds(batchSeconds),
      maxConcurrency: concurrency,
    })

    const enqueue = new HouseFunction(this, 'Enqueue', {
      door: 'attribution/enqueue-receipts',
      description: 'Ledger stream to queues',
      environment: {
        ATTRIBUTION_QUEUE_URL: attributions.queue.queueUrl,
        RECEIPT_LOG_QUEUE_URL: this.receiptLog.queue.queueUrl,
      },
    }).allow(['sqs:SendMessage'], [attributions.queue.queueArn, this.receiptLog.queue.queueArn])
    const streamFailures = new Queue(this, 'StreamFailures', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    deadLetterAlarm(this, streamFailures, 'Receipts may wait up to ten minutes longer for their attribution.')
    enqueue.addEventSource(
      new DynamoEventSource(ledger as ITable, {
        startingPosition: StartingPosition.TRIM_HORIZON,
        batchSize: 100,
        bisectBatchOnError: true,
        retryAttempts: 10,
        maxRecordAge: Duration.hours(6),
        onFailure: new SqsDlq(streamFailures),
        filters: [FilterCriteria.filter({ dynamodb: { Keys: { PK: { S: FilterRule.beginsWith('RECEIPT#') } } } })],
      }),
    )

    const requeue = new HouseFunction(this, 'Requeue', {
      door: 'attribution/requeue-pending',
      description: 'Asks again for receipts that stayed pending',
      environment: { LEDGER_TABLE: ledger.tableName, ATTRIBUTION_QUEUE_URL: attributions.queue.queueUrl },
    })
      .allow(['dynamodb:Query'], [`${ledger.tableArn}/index/PENDING`])
      .allow(['sqs:SendMessage'], [attributions.queue.queueArn])
    new HouseSchedule(this, 'RequeueSchedule', {
      expression: 'rate(10 minutes)',
      target: requeue,
      description: 'Pending receipts',
      errorImpact: 'Receipts whose message was lost stay unattributed.',
    })

    this.buildShard = new HouseFunction(this, 'BuildShard', {
      door: 'attribution/build-provenance-shard',
      description: 'Provenance index of one contribution',
      environment: { DATA_BUCKET: data.bucketName },
      timeout: Duration.minutes(15),
      memoryMb: 3008,
    }).allow(['s3:GetObject', 's3:PutObject'], [data.arnForObjects('datanets/*')])

    const reader = (name: string, verb: string, description: string, resources: string[], environment = {}) =>
      new HouseFunction(this, name, {
        door: `attribution/${verb}`,
        description,
        environment: { LEDGER_TABLE: ledger.tableName, ...environment },
      }).allow(['dynamodb:GetItem', 'dynamodb:Query'], resources)
    this.doors = {
      getReceipt: reader('GetReceipt', 'get-receipt', 'A receipt with spans, scores and shares', [ledger.tableArn], {
        REGISTRY_TABLE: registry.tableName,
        RECEIPTS_BUCKET: receipts.bucketName,
      })
        .allow(['dynamodb:GetItem'], [registry.tableArn])
        .allow(['s3:GetObject'], [receipts.arnForObjects('transcripts/*')])
        .allow(['s3:ListBucket'], [receipts.bucketArn])
        .allow(['kms:Decrypt'], [transcriptsKey.keyArn]),
      listReceipts: reader('ListReceipts', 'list-receipts', 'Receipts of the caller', [
        ledger.tableArn,
        `${ledger.tableArn}/index/GSI1`,
      ]),
    }
  }
}
