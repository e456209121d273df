import { Annotations, Aws, Duration, RemovalPolicy } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import {
  Choice,
  Condition,
  DefinitionBody,
  DistributedMap,
  Fail,
  JitterType,
  JsonPath,
  LogLevel,
  Map as MapState,
  ProcessorMode,
  ProcessorType,
  S3JsonItemReader,
  StateMachine,
  StateMachineType,
  Succeed,
  TaskInput,
  type TaskStateBase,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import { Construct } from 'constructs'
import { House } from './constructs/house.ts'
import type { HouseFunction } from './constructs/house-function.ts'
import { ingestionTriggers } from './ingestion-triggers.ts'

export interface IngestionSteps {
  data: Bucket
  begin: HouseFunction
  split: HouseFunction
  deduplicate: HouseFunction
  buildShard: HouseFunction
  commit: HouseFunction
  fail: HouseFunction
}

const EXECUTION = { execution: JsonPath.stringAt('$$.Execution.Id') }

/**
 * Upload -> version. Begin claims the object version and plans chunks; a Distributed Map splits them; Deduplicate waits
 * for its turn in the registry's order; the provenance shards are built; Commit publishes. What is wrong with the upload
 * ends in `Refused` (a success of the flow); a fault of ours ends in `Failed`, and both record a reason.
 */
export class IngestionFlow extends Construct {
  readonly stateMachine: StateMachine

  constructor(scope: Construct, id: string, steps: IngestionSteps) {
    super(scope, id)
    const { config } = House.of(this)
    this.stateMachine = new StateMachine(this, 'Flow', {
      definitionBody: DefinitionBody.fromChainable(this.#definition(steps)),
      comment: 'From an upload in quarantine to a new Datanet version',
      // The longest honest upload takes minutes; a ticket is taken for abandoned after four hours.
      timeout: Duration.hours(3),
      tracingEnabled: true,
      logs: {
        destination: new LogGroup(this, 'Logs', {
          logGroupName: `/aws/vendedlogs/states/${Aws.STACK_NAME}-ingestion`,
          retention: config.logRetentionDays as number,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        level: LogLevel.ALL,
        // Rows never go into logs; states carry ids and counts only.
        includeExecutionData: false,
      },
    })
    this.stateMachine.addToRolePolicy(
      new PolicyStatement({ actions: ['s3:GetObject'], resources: [steps.data.arnForObjects('ingestion/*')] }),
    )
    ingestionTriggers(this, this.stateMachine, steps)
  }

  #definition(steps: IngestionSteps): TaskStateBase {
    const failed = this.#task('RecordFault', steps.fail, {
      event: JsonPath.objectAt('$$.Execution.Input'),
      ...EXECUTION,
    }).next(new Fail(this, 'Failed', { error: 'IngestionFailed', cause: 'See the state before RecordFault.' }))
    const refused = new Succeed(this, 'Refused')
    const caught = <State extends TaskStateBase | MapState | DistributedMap>(state: State): State => {
      state.addCatch(failed, { errors: ['States.ALL'], resultPath: '$.fault' })
      return state
    }
    const upload = JsonPath.objectAt('$.upload')

    const commit = caught(
      this.#task(
        'Commit',
        steps.commit,
        { upload, prepared: JsonPath.objectAt('$.part'), shards: JsonPath.objectAt('$.shards') },
        '$.committed',
      ),
    )
    // 1 GiB of rows are at most five shards: the state carries them, no list in S3 is needed.
    const shard = caught(
      new MapState(this, 'BuildProvenanceShards', {
        itemsPath: '$.part.shards',
        itemSelector: {
          rowsKey: JsonPath.stringAt('$.part.rowsKey'),
          shard: JsonPath.objectAt('$$.Map.Item.Value'),
        },
        maxConcurrency: 8,
        resultPath: '$.shards',
      }).itemProcessor(
        this.#task('BuildProvenanceShard', steps.buildShard, {
          rowsKey: JsonPath.stringAt('$.rowsKey'),
          shard: JsonPath.objectAt('$.shard'),
        }),
      ),
    )
    const deduplicate = caught(
      this.#task('Deduplicate', steps.deduplicate, { upload, chunks: JsonPath.numberAt('$.chunks') }, '$.part'),
    )
    const waitForTurn = new Wait(this, 'WaitForTurn', { time: WaitTime.secondsPath('$.part.seconds') })
    const refuseRows = this.#task('RefuseRows', steps.fail, {
      upload,
      reason: JsonPath.objectAt('$.part.reason'),
      rejected: JsonPath.numberAt('$.part.rejected'),
      ...EXECUTION,
    }).next(refused)
    shard.next(commit)
    commit.next(
      new Choice(this, 'IsPublished')
        .when(Condition.stringEquals('$.committed.outcome', 'stale'), deduplicate)
        .otherwise(new Succeed(this, 'Published')),
    )
    deduplicate.next(
      new Choice(this, 'IsReady')
        .when(Condition.stringEquals('$.part.outcome', 'wait'), waitForTurn.next(deduplicate))
        .when(Condition.stringEquals('$.part.outcome', 'refused'), refuseRows)
        .otherwise(shard),
    )
    const refuseUpload = this.#task('RefuseUpload', steps.fail, {
      upload,
      reason: JsonPath.objectAt('$.reason'),
      ...EXECUTION,
    }).next(refused)

    const begin = caught(this.#task('Begin', steps.begin, { event: JsonPath.objectAt('$'), ...EXECUTION }, '$'))
    begin.next(
      new Choice(this, 'IsPlanned')
        .when(Condition.stringEquals('$.outcome', 'planned'), caught(this.#splitAll(steps)).next(deduplicate))
        .when(Condition.stringEquals('$.outcome', 'refused'), refuseUpload)
        .otherwise(new Succeed(this, 'Ignored')),
    )
    return begin
  }

  /** One child execution for each chunk; at most 20 at once leave room for others in the account's 1,000 functions. */
  #splitAll(steps: IngestionSteps): DistributedMap {
    const map = new DistributedMap(this, 'SplitChunks', {
      itemReader: new S3JsonItemReader({
        bucketNamePath: JsonPath.stringAt('$.bucket'),
        key: JsonPath.stringAt('$.chunksKey'),
      }),
      itemSelector: { upload: JsonPath.objectAt('$.upload'), chunk: JsonPath.objectAt('$$.Map.Item.Value') },
      mapExecutionType: StateMachineType.EXPRESS,
      maxConcurrency: 20,
      resultPath: JsonPath.DISCARD,
    })
    map.itemProcessor(
      this.#task(
        'SplitRows',
        steps.split,
        { upload: JsonPath.objectAt('$.upload'), chunk: JsonPath.objectAt('$.chunk') },
        '$',
      ),
      { mode: ProcessorMode.DISTRIBUTED, executionType: ProcessorType.EXPRESS },
    )
    Annotations.of(map).acknowledgeWarning(
      '@aws-cdk/aws-stepfunctions:propertyIgnored',
      'The processor is refused without an execution type, and warned about with one.',
    )
    return map
  }

  /**
   * A call of a step. Every step may be repeated, so everything is: 2, 4, 8, 16, 32 s with full jitter outlast a
   * throttled or failing dependency of a minute; a step that still fails then is broken, not unlucky. One that ran into
   * its time limit would do so again: it gets a single second try, so that nobody waits for hours behind it.
   */
  #task(id: string, step: HouseFunction, payload: Record<string, unknown>, resultPath = '$'): LambdaInvoke {
    const task = new LambdaInvoke(this, id, {
      lambdaFunction: step,
      payload: TaskInput.fromObject(payload),
      payloadResponseOnly: true,
      retryOnServiceExceptions: false,
      resultPath,
    })
    task.addRetry({ errors: ['Sandbox.Timedout', 'States.Timeout'], maxAttempts: 1 })
    return task.addRetry({
      errors: ['States.ALL'],
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxAttempts: 5,
      jitterStrategy: JitterType.FULL,
    }) as LambdaInvoke
  }
}
