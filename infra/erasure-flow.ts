import { Aws, Duration, RemovalPolicy } from 'aws-cdk-lib'
import type { CfnFunction } from 'aws-cdk-lib/aws-lambda'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import {
  DefinitionBody,
  JitterType,
  JsonPath,
  LogLevel,
  Map as MapState,
  StateMachine,
  TaskInput,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import { Construct } from 'constructs'
import { flowAlarm } from './constructs/flow-alarm.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import type { Storage } from './storage.ts'

/**
 * What was withdrawn -> erased: rows and signatures are rewritten without it, the part's provenance shards built anew, and
 * all earlier object versions deleted. Until then tombstones alone keep it from being named.
 */
export class ErasureFlow extends Construct {
  readonly stateMachine: StateMachine

  constructor(scope: Construct, id: string, { storage, buildShard }: { storage: Storage; buildShard: HouseFunction }) {
    super(scope, id)
    const { config } = House.of(this)
    const { registry, data } = storage
    const eraseRows = new HouseFunction(this, 'EraseRows', {
      door: 'datanets/erase-rows',
      description: 'Rewrites a part without what was withdrawn',
      environment: { REGISTRY_TABLE: registry.tableName, DATA_BUCKET: data.bucketName },
      memoryMb: 1769,
      timeout: Duration.minutes(15),
    })
      .allow(['dynamodb:GetItem', 'dynamodb:Query'], [registry.tableArn])
      .allow(['s3:GetObject'], [data.arnForObjects('datanets/*')])
      .allow(['s3:PutObject'], [data.arnForObjects('datanets/*/parts/*')])
    // A part's rows and signatures wait in /tmp.
    ;(eraseRows.node.defaultChild as CfnFunction).ephemeralStorage = { size: 4096 }
    const deleteVersions = new HouseFunction(this, 'DeleteVersions', {
      door: 'datanets/delete-versions',
      description: 'Deletes replaced versions and the upload of what was withdrawn',
      environment: { DATA_BUCKET: data.bucketName },
      timeout: Duration.minutes(5),
    })
      .allow(['s3:ListBucketVersions'], [data.bucketArn])
      .allow(
        ['s3:DeleteObject', 's3:DeleteObjectVersion'],
        ['datanets/*/parts/*', 'quarantine/*', 'ingestion/*'].map((keys) => data.arnForObjects(keys)),
      )
    const place = {
      datanetId: JsonPath.stringAt('$.datanetId'),
      contributionId: JsonPath.stringAt('$.contributionId'),
    }
    const rebuild = new MapState(this, 'RebuildShards', {
      itemsPath: '$.part.shards',
      itemSelector: { rowsKey: JsonPath.stringAt('$.part.rowsKey'), shard: JsonPath.objectAt('$$.Map.Item.Value') },
      maxConcurrency: 8,
      resultPath: JsonPath.DISCARD,
    }).itemProcessor(
      this.#task('RebuildShard', buildShard, {
        rowsKey: JsonPath.stringAt('$.rowsKey'),
        shard: JsonPath.objectAt('$.shard'),
      }),
    )
    this.stateMachine = new StateMachine(this, 'Flow', {
      definitionBody: DefinitionBody.fromChainable(
        this.#task('Erase', eraseRows, place, '$.part')
          .next(rebuild)
          .next(this.#task('DeleteReplaced', deleteVersions, place)),
      ),
      comment: 'From a withdrawal to bytes that are gone',
      timeout: Duration.hours(2),
      tracingEnabled: true,
      logs: {
        destination: new LogGroup(this, 'Logs', {
          logGroupName: `/aws/vendedlogs/states/${Aws.STACK_NAME}-erasure`,
          retention: config.logRetentionDays as number,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        level: LogLevel.ALL,
        includeExecutionData: false,
      },
    })
    flowAlarm(
      this,
      'FailedAlarm',
      this.stateMachine,
      'Withdrawn rows are named no more, but their bytes are still stored. Runbook: docs/runbook.md#erasure',
    )
  }

  /** Every step may be repeated: it finds what its first run did. */
  #task(id: string, step: HouseFunction, payload: Record<string, unknown>, resultPath = '$'): LambdaInvoke {
    const task = new LambdaInvoke(this, id, {
      lambdaFunction: step,
      payload: TaskInput.fromObject(payload),
      payloadResponseOnly: true,
      retryOnServiceExceptions: false,
      resultPath,
    })
    return task.addRetry({
      errors: ['States.ALL'],
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxAttempts: 5,
      jitterStrategy: JitterType.FULL,
    }) as LambdaInvoke
  }
}
