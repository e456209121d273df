import { Duration } from 'aws-cdk-lib'
import type { ITable } from 'aws-cdk-lib/aws-dynamodb'
import { Rule } from 'aws-cdk-lib/aws-events'
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets'
import { FilterCriteria, FilterRule, StartingPosition } from 'aws-cdk-lib/aws-lambda'
import { DynamoEventSource, SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { scoringPlaces } from '#schema/scoring'
import type { Doors } from './api.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { logAlarm } from './constructs/log-alarm.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import { deadLetterAlarm, WorkQueue } from './constructs/work-queue.ts'
import type { Storage } from './storage.ts'

/** From a settled receipt to a completed one: ledger stream -> queue -> worker, and what picks up whoever fell behind. */
export class Attribution extends Construct {
  readonly doors: Doors
  readonly buildShard: HouseFunction
  /** Completed receipts, on their way to the receipt log. */
  readonly receiptLog: WorkQueue

  constructor(
    scope: Construct,
    id: string,
    { storage, influenceEndpoints }: { storage: Storage; influenceEndpoints: string },
  ) {
    super(scope, id)
    const { config } = House.of(this)
    const { registry, ledger, data, models, receipts, transcriptsKey } = storage
    const attributions = new WorkQueue(this, 'Attributions', {
      workerTimeout: Duration.minutes(5),
      errorImpact: 'Contributors are not paid for some answers until these receipts are attributed.',
    })
    this.receiptLog = new WorkQueue(this, 'ReceiptLog', {
      workerTimeout: Duration.minutes(1),
      errorImpact: 'The epoch cannot close: completed receipts are missing in its log.',
    })

    const reads = [
      data.arnForObjects('datanets/*'),
      models.arnForObjects('bases/*/unigram.bin'),
      receipts.arnForObjects('transcripts/*'),
    ]
    const worker = (name: string, door: string, description: string, alsoReads: string[] = []) =>
      new HouseFunction(this, name, {
        door,
        description,
        environment: {
          LEDGER_TABLE: ledger.tableName,
          REGISTRY_TABLE: registry.tableName,
          DATA_BUCKET: data.bucketName,
          MODELS_BUCKET: models.bucketName,
          RECEIPTS_BUCKET: receipts.bucketName,
          SCORING_GIVE_UP_HOURS: String(config.attribution.giveUpHours),
        },
        timeout: Duration.minutes(5),
        memoryMb: 2048,
      })
        .allow(['dynamodb:GetItem', 'dynamodb:UpdateItem'], [ledger.tableArn])
        .allow(['dynamodb:GetItem', 'dynamodb:Query'], [registry.tableArn])
        .allow(['s3:GetObject'], [...reads, ...alsoReads])
        // Without it S3 answers 403 for a missing object, and a gone transcript would look like a fault.
        .allow(['s3:ListBucket'], [data.bucketArn, receipts.bucketArn])
        .allow(['kms:Decrypt'], [transcriptsKey.keyArn])
    const attribute = worker(
      'Attribute',
      'attribution/attribute-receipts',
      'Provenance and shares of settled receipts; asks for influence scores',
    )
      .allow(['s3:PutObject'], [receipts.arnForObjects(`${scoringPlaces.asked}*`)])
      .allow(['kms:GenerateDataKey'], [transcriptsKey.keyArn])
      .allow(['sagemaker:InvokeEndpointAsync'], [influenceEndpoints])
    const { batchSize, batchSeconds, concurrency } = config.attribution
    attributions.feeds(attribute, {
      batchSize,
      batchWindow: Duration.seconds(batchSeconds),
      maxConcurrency: concurrency,
    })

    const collect = worker(
      'CollectScores',
      'attribution/collect-scores',
      'Completes receipts whose scores have come; asks again for those whose scoring failed',
      [scoringPlaces.answers, scoringPlaces.failures].map((place) => receipts.arnForObjects(`${place}*`)),
    ).allow(['sqs:SendMessage'], [attributions.queue.queueArn])
    collect.addEnvironment('ATTRIBUTION_QUEUE_URL', attributions.queue.queueUrl)
    this.#scores(receipts, collect)

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
        filters: [
          FilterCriteria.filter({
            dynamodb: { Keys: { PK: { S: FilterRule.beginsWith('RECEIPT#') }, SK: { S: FilterRule.isEqual('META') } } },
          }),
        ],
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

  /** What the influence endpoints leave in S3, answers and failures alike, reaches their worker. */
  #scores(receipts: Bucket, collect: HouseFunction): void {
    const scores = new WorkQueue(this, 'Scores', {
      workerTimeout: Duration.minutes(5),
      errorImpact:
        'Receipts wait though their scores have come, and are completed without after attribution.giveUpHours.',
    })
    scores.feeds(collect, { batchSize: 10, maxConcurrency: 10 })
    logAlarm(this, 'ScoringFailed', collect, 'scoring failed', {
      errorImpact:
        'Contributors wait for their share: scoring is repeated, and given up after attribution.giveUpHours.',
      runbook: 'scoring-failed',
    })
    new Rule(this, 'OnScores', {
      description: 'An influence endpoint left an answer or a failure',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: {
          bucket: { name: [receipts.bucketName] },
          object: { key: [{ prefix: scoringPlaces.answers }, { prefix: scoringPlaces.failures }] },
        },
      },
      targets: [
        new SqsQueue(scores.queue, {
          deadLetterQueue: scores.deadLetters,
          retryAttempts: 8,
          maxEventAge: Duration.hours(2),
        }),
      ],
    })
  }
}
