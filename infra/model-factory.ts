import { Aws, Duration } from 'aws-cdk-lib'
import { Rule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import {
  Choice,
  Condition,
  CustomState,
  DefinitionBody,
  JsonPath,
  LogLevel,
  StateMachine,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import type { Doors } from './api.ts'
import { flowLogs } from './constructs/flow-logs.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { deadLetterAlarm } from './constructs/work-queue.ts'
import type { Images } from './images.ts'
import { PLATFORM_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'

/** From a recipe to a named adapter: routes, and the training flow around SageMaker. */
export class ModelFactory extends Construct {
  readonly doors: Doors
  readonly flow: StateMachine
  readonly #storage: Storage

  constructor(
    scope: Construct,
    id: string,
    { storage, images, ensureHosting }: { storage: Storage; images: Images; ensureHosting: HouseFunction },
  ) {
    super(scope, id)
    this.#storage = storage
    const { config } = House.of(this)
    const { registry, ledger, data, models } = storage
    const ledgerTable = { LEDGER_TABLE: ledger.tableName }
    const reserve = (made: HouseFunction) =>
      made.allow(
        ['Query', 'GetItem', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'].map((a) => `dynamodb:${a}`),
        [ledger.tableArn],
      )
    const trainingRole = this.#trainingRole()
    images.grantPull(trainingRole)
    const read = ['dynamodb:GetItem']
    const write = ['dynamodb:GetItem', 'dynamodb:UpdateItem']
    const readVersions = (made: HouseFunction) =>
      made.allow(['s3:GetObject'], [data.arnForObjects('datanets/*')]).allow(['s3:ListBucket'], [data.bucketArn])

    const prepare = readVersions(
      this.#function(
        'PrepareTraining',
        'prepare-training',
        'Channels and request of a training job',
        {
          ...ledgerTable,
          DATA_BUCKET: data.bucketName,
          MODELS_BUCKET: models.bucketName,
          FINE_TUNE_IMAGE: images.fineTune,
          TRAINING_ROLE_ARN: trainingRole.roleArn,
          TRAINING_INSTANCE_TYPE: config.training.instanceType,
          TRAINING_SPOT: String(config.training.spot),
        },
        write,
      ),
    )
      .allow(['s3:PutObject'], [models.arnForObjects('trainings/*')])
      .allow(['dynamodb:Query', 'dynamodb:UpdateItem'], [ledger.tableArn])
    const register = this.#function(
      'RegisterAdapter',
      'register-adapter',
      'Verify, copy, register and name an adapter',
      { MODELS_BUCKET: models.bucketName },
      [...write, 'dynamodb:PutItem'],
      Duration.minutes(5),
      1024,
    )
      .allow(
        ['s3:GetObject', 's3:PutObject'],
        [models.arnForObjects('trainings/*'), models.arnForObjects('adapters/*')],
      )
      .allow(['s3:ListBucket'], [models.bucketArn])
    const complete = this.#function(
      'CompleteTraining',
      'complete-training',
      'The adapter can be asked, the training is charged',
      { ...ledgerTable, PLATFORM_PAYEE },
      write,
    ).allow(['dynamodb:Query', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'], [ledger.tableArn])
    const fail = this.#function(
      'FailTraining',
      'fail-training',
      'A training ends with its reason, its money goes back',
      ledgerTable,
      write,
    ).allow(['dynamodb:Query', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], [ledger.tableArn])
    this.flow = this.#flow(trainingRole, { prepare, register, complete, fail, ensureHosting })
    this.#onStopped(fail)

    const price = { TRAINING_PRICE_PER_SECOND: config.training.pricePerSecond }
    const start = { TRAINING_STATE_MACHINE_ARN: this.flow.stateMachineArn }
    const bases = { MODELS_BUCKET: models.bucketName }
    const indexed = [`${registry.tableArn}/index/GSI1`]
    this.doors = {
      listBaseModels: this.#function('ListBaseModels', 'list-base-models', 'Base models', {}, []).allow(
        ['dynamodb:Query'],
        indexed,
      ),
      importBaseModel: this.#function('ImportBaseModel', 'import-base-model', 'Announce a base model', bases, [
        ...read,
        'dynamodb:PutItem',
      ]).allow(['s3:PutObject'], [models.arnForObjects('bases/*')]),
      completeBaseModel: this.#function(
        'CompleteBaseModel',
        'complete-base-model',
        'Verify and release a base model',
        bases,
        write,
        Duration.seconds(29),
        2048,
      )
        .allow(['s3:GetObject'], [models.arnForObjects('bases/*')])
        .allow(['s3:ListBucket'], [models.bucketArn]),
      quoteRecipe: readVersions(
        this.#function(
          'QuoteRecipe',
          'quote-recipe',
          'What a recipe would cost',
          { DATA_BUCKET: data.bucketName, ...price },
          read,
        ),
      ),
      startTraining: reserve(
        readVersions(
          this.#function(
            'StartTraining',
            'start-training',
            'Hold what a training may cost, and start it',
            { ...ledgerTable, DATA_BUCKET: data.bucketName, ...price, ...start },
            [...read, 'dynamodb:PutItem'],
          ),
        ),
      ).allow(['states:StartExecution'], [this.flow.stateMachineArn]),
      getTraining: this.#function('GetTraining', 'get-training', 'State of a training', {}, read),
      getTrainingMetrics: this.#function(
        'GetTrainingMetrics',
        'get-training-metrics',
        'Metrics per step',
        {},
        read,
      ).allow(
        ['logs:FilterLogEvents'],
        ['', ':*'].map(
          (end) =>
            `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/TrainingJobs${end}`,
        ),
      ),
      retryTraining: reserve(
        this.#function(
          'RetryTraining',
          'retry-training',
          'Another attempt after a failure',
          { ...ledgerTable, ...start },
          write,
        ),
      ).allow(['states:StartExecution'], [this.flow.stateMachineArn]),
      getName: this.#function('GetName', 'get-name', 'Where a name points', {}, read),
      promoteName: this.#function('PromoteName', 'promote-name', 'Promote, roll back, canary', {}, write),
      getAdapter: this.#function('GetAdapter', 'get-adapter', 'An adapter with its scorecard', {}, read),
    }
  }

  #function(
    name: string,
    verb: string,
    description: string,
    environment: Environment,
    registryActions: string[],
    timeout = Duration.seconds(29),
    memoryMb = 512,
  ): HouseFunction {
    const made = new HouseFunction(this, name, {
      door: `model-factory/${verb}`,
      description,
      environment: { REGISTRY_TABLE: this.#storage.registry.tableName, ...environment },
      timeout,
      memoryMb,
    })
    return registryActions.length > 0 ? made.allow(registryActions, [this.#storage.registry.tableArn]) : made
  }

  /** prepare -> train -> register -> endpoints answer -> complete; whatever fails says why on the training. */
  #flow(
    trainingRole: Role,
    steps: Record<'prepare' | 'register' | 'complete' | 'fail' | 'ensureHosting', HouseFunction>,
  ): StateMachine {
    const training = { trainingId: JsonPath.stringAt('$.trainingId'), attempt: JsonPath.numberAt('$.attempt') }
    const step = (id: string, lambdaFunction: HouseFunction, payload: object, resultPath?: string) =>
      new LambdaInvoke(this, id, {
        lambdaFunction,
        payload: TaskInput.fromObject(payload as Record<string, unknown>),
        payloadResponseOnly: true,
        retryOnServiceExceptions: true,
        ...(resultPath ? { resultPath } : {}),
      })
    const prepare = step('Prepare', steps.prepare, training)
    // CDK's own task lacks spot, checkpoints and uncompressed output: the request is made by the step before.
    const train = new CustomState(this, 'Train', {
      stateJson: {
        Type: 'Task',
        Resource: `arn:${Aws.PARTITION}:states:::sagemaker:createTrainingJob.sync`,
        InputPath: '$.request',
        ResultPath: '$.job',
      },
    })
    const register = step('Register', steps.register, training, '$.registered')
    const hosting = step(
      'EnsureHosting',
      steps.ensureHosting,
      { baseId: JsonPath.stringAt('$.baseId'), rank: JsonPath.numberAt('$.rank') },
      '$.hosting',
    )
    const charged = { ...training, job: JsonPath.objectAt('$.job') }
    const complete = step('Complete', steps.complete, charged, JsonPath.DISCARD)
    const fail = step('Fail', steps.fail, { ...training, error: JsonPath.objectAt('$.error') })
    for (const state of [prepare, train, register, hosting, complete]) state.addCatch(fail, { resultPath: '$.error' })
    // Throttled job starts come back after 10, 20, 40 ... s: ten minutes in all.
    train.addRetry({
      errors: ['SageMaker.AmazonSageMakerException', 'ThrottlingException'],
      interval: Duration.seconds(10),
      backoffRate: 2,
      maxAttempts: 6,
    })

    const wait = new Wait(this, 'EndpointStarts', { time: WaitTime.duration(Duration.seconds(2)) }).next(hosting)
    hosting.next(
      new Choice(this, 'EndpointAnswers')
        .when(Condition.booleanEquals('$.hosting.ready', true), complete)
        .otherwise(wait),
    )
    const flow = new StateMachine(this, 'Flow', {
      definitionBody: DefinitionBody.fromChainable(prepare.next(train).next(register).next(hosting)),
      // Spot may wait as long as it may run (2 x 5 days), then registering and hosting: below this a hold lives.
      timeout: Duration.days(12),
      tracingEnabled: true,
      logs: { destination: flowLogs(this), level: LogLevel.ALL, includeExecutionData: false },
    })
    const jobs = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}:training-job/*`
    flow.addToRolePolicy(
      new PolicyStatement({
        actions: [
          'sagemaker:CreateTrainingJob',
          'sagemaker:DescribeTrainingJob',
          'sagemaker:StopTrainingJob',
          'sagemaker:AddTags',
          'sagemaker:ListTags',
        ],
        resources: [jobs],
      }),
    )
    flow.addToRolePolicy(
      new PolicyStatement({
        actions: ['iam:PassRole'],
        resources: [trainingRole.roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
      }),
    )
    // The managed rule by which Step Functions hears of the job's end (developer guide, "Service integration IAM").
    flow.addToRolePolicy(
      new PolicyStatement({
        actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
        resources: [
          `arn:${Aws.PARTITION}:events:${Aws.REGION}:${Aws.ACCOUNT_ID}:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule`,
        ],
      }),
    )
    return flow
  }

  /** A flow that was stopped from outside, or died, could not say so: its money goes back all the same. */
  #onStopped(fail: HouseFunction): void {
    const deadLetterQueue = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    deadLetterAlarm(this, deadLetterQueue, 'Money held for a training that ended stays locked until its hold expires.')
    new Rule(this, 'OnStopped', {
      description: 'A training flow ended without its own last step',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: { stateMachineArn: [this.flow.stateMachineArn], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
      },
      targets: [new LambdaFunction(fail, { deadLetterQueue, retryAttempts: 8, maxEventAge: Duration.hours(2) })],
    })
  }

  /** Training reads its channels and writes its output; it has no network beside. */
  #trainingRole(): Role {
    const { models } = this.#storage
    const role = new Role(this, 'TrainingRole', {
      assumedBy: new ServicePrincipal('sagemaker.amazonaws.com'),
      description: 'Execution role of training jobs',
    })
    role.addToPolicy(
      new PolicyStatement({
        actions: ['s3:GetObject'],
        resources: [models.arnForObjects('bases/*'), models.arnForObjects('trainings/*')],
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['s3:PutObject', 's3:AbortMultipartUpload'],
        resources: [models.arnForObjects('trainings/*')],
      }),
    )
    role.addToPolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [models.bucketArn] }))
    role.addToPolicy(
      new PolicyStatement({
        actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
        resources: [`arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/TrainingJobs*`],
      }),
    )
    role.addToPolicy(
      new PolicyStatement({
        actions: ['cloudwatch:PutMetricData'],
        resources: ['*'],
        conditions: { StringEquals: { 'cloudwatch:namespace': '/aws/sagemaker/TrainingJobs' } },
      }),
    )
    return role
  }
}
