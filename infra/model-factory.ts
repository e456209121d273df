import { Aws, Duration } from 'aws-cdk-lib'
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions'
import { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import type { Doors } from './api.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import type { Images } from './images.ts'
import { PLATFORM_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'
import { settleWhenStopped, trainingFlow } from './training-flow.ts'
import { trainingRoleOf } from './training-role.ts'

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
    const trainingRole = trainingRoleOf(this, storage)
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
    this.flow = trainingFlow(this, trainingRole, { prepare, register, complete, fail, ensureHosting })
    settleWhenStopped(this, this.flow, fail)

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
}
