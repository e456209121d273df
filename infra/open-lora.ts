import { Aws, CustomResource, Duration, Stack } from 'aws-cdk-lib'
import type { Role } from 'aws-cdk-lib/aws-iam'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import {
  Choice,
  Condition,
  DefinitionBody,
  JsonPath,
  LogLevel,
  StateMachine,
  Succeed,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import { Construct } from 'constructs'
import type { Doors } from './api.ts'
import { flowLogs } from './constructs/flow-logs.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import { allowRemoval, allowScaling } from './endpoint-scaling.ts'
import { hostingRoleOf, influenceRoleOf } from './hosting-roles.ts'
import type { Images } from './images.ts'
import { PLATFORM_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'

/** Serving: the router in front of SageMaker endpoints, and the step that makes an endpoint for a base model. */
export class OpenLora extends Construct {
  readonly doors: Doors
  readonly ensureHosting: HouseFunction
  readonly endpointPrefix: string

  constructor(scope: Construct, id: string, { storage, images }: { storage: Storage; images: Images }) {
    super(scope, id)
    const { config } = House.of(this)
    // ARNs of endpoints are in lower case, and names end at 63 characters.
    this.endpointPrefix = Stack.of(this).stackName.toLowerCase().slice(0, 24)
    const endpoints = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}`
    const secret = new Secret(this, 'InferenceSecret', {
      description: 'Signs invocations of the serving image',
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
    })
    const hostingRole = hostingRoleOf(this, storage, secret)
    const influenceRole = influenceRoleOf(this, storage)
    for (const role of [hostingRole, influenceRole]) images.grantPull(role)
    this.ensureHosting = this.#ensureHosting(storage, images, { hostingRole, influenceRole }, secret)
    const wake = this.#wakeFlow()
    const removeEndpoints = this.#janitor(storage)
    if (config.hosting.influence.minInstances < config.hosting.influence.maxInstances) {
      allowScaling(this.ensureHosting, this.endpointPrefix)
      allowRemoval(removeEndpoints, this.endpointPrefix)
    }

    const infer = new HouseFunction(this, 'Infer', {
      door: 'open-lora/infer',
      description: 'OpenAI-compatible inference: reserve, answer, settle',
      environment: {
        REGISTRY_TABLE: storage.registry.tableName,
        LEDGER_TABLE: storage.ledger.tableName,
        RECEIPTS_BUCKET: storage.receipts.bucketName,
        INFERENCE_SECRET_ARN: secret.secretArn,
        PLATFORM_FEE_BPS: String(config.platform.feeBps),
        PLATFORM_PAYEE,
        WAKE_STATE_MACHINE_ARN: wake.stateMachineArn,
      },
      timeout: Duration.minutes(15),
      memoryMb: 1024,
    })
      .allow(['dynamodb:GetItem', 'dynamodb:Query'], [storage.registry.tableArn])
      // When a pool was last asked: no other record of the registry.
      .allow(['dynamodb:UpdateItem'], [storage.registry.tableArn], {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['POOL#*'] },
      })
      .allow(['states:StartExecution'], [wake.stateMachineArn])
      .allow(
        [
          'dynamodb:GetItem',
          'dynamodb:Query',
          'dynamodb:PutItem',
          'dynamodb:UpdateItem',
          'dynamodb:DeleteItem',
          'dynamodb:ConditionCheckItem',
        ],
        [storage.ledger.tableArn],
      )
      .allow(['s3:PutObject', 's3:GetObject'], [storage.receipts.arnForObjects('transcripts/*')])
      .allow(['kms:GenerateDataKey', 'kms:Decrypt'], [storage.transcriptsKey.keyArn])
      .allow(['secretsmanager:GetSecretValue'], [secret.secretArn])
      .allow(
        ['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointWithResponseStream'],
        [`${endpoints}:endpoint/${this.endpointPrefix}-*`],
      )
    const listModels = new HouseFunction(this, 'ListModels', {
      door: 'open-lora/list-models',
      description: 'Adapters by name',
      environment: { REGISTRY_TABLE: storage.registry.tableName },
    }).allow(['dynamodb:Query'], [`${storage.registry.tableArn}/index/GSI1`])
    this.doors = { chatCompletion: infer, completion: infer, listModels }
  }

  #ensureHosting(
    storage: Storage,
    images: Images,
    { hostingRole, influenceRole }: { hostingRole: Role; influenceRole: Role },
    secret: Secret,
  ): HouseFunction {
    const { hosting } = House.of(this).config
    return new HouseFunction(this, 'EnsureHosting', {
      door: 'open-lora/ensure-hosting',
      description: 'The endpoints of a base model exist and answer',
      environment: {
        REGISTRY_TABLE: storage.registry.tableName,
        MODELS_URI: storage.models.s3UrlForObject(),
        OPEN_LORA_IMAGE: images.openLora,
        INFLUENCE_IMAGE: images.influence,
        HOSTING_ROLE_ARN: hostingRole.roleArn,
        HOSTING_INSTANCE_TYPE: hosting.instanceType,
        HOSTING_ENGINE: hosting.engine,
        INFERENCE_SECRET_ARN: secret.secretArn,
        ENDPOINT_PREFIX: this.endpointPrefix,
        MAX_ENDPOINTS: String(hosting.maxEndpoints),
        HOSTING_SHARDS: String(hosting.shards),
        HOSTING_ACCOUNT_QUOTA: String(hosting.accountQuota),
        HOSTING_DAILY_HOURS: String(hosting.dailyInstanceHours),
        INFLUENCE_ROLE_ARN: influenceRole.roleArn,
        ...this.#influenceInstances(),
        RECEIPTS_BUCKET: storage.receipts.bucketName,
        SCORING_KEY_ARN: storage.transcriptsKey.keyArn,
      },
    })
      .allow(['dynamodb:GetItem', 'dynamodb:PutItem'], [storage.registry.tableArn])
      .allow(
        [
          'sagemaker:CreateModel',
          'sagemaker:CreateEndpointConfig',
          'sagemaker:CreateEndpoint',
          'sagemaker:DescribeEndpoint',
          'sagemaker:AddTags',
        ],
        this.#ownResources(),
      )
      .allow(['sagemaker:ListEndpoints'], ['*'])
      .allow(['iam:PassRole'], [hostingRole.roleArn, influenceRole.roleArn], {
        StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
      })
  }

  #influenceInstances(): { INFLUENCE_MIN_INSTANCES: string; INFLUENCE_MAX_INSTANCES: string } {
    const { minInstances, maxInstances } = House.of(this).config.hosting.influence
    return { INFLUENCE_MIN_INSTANCES: String(minInstances), INFLUENCE_MAX_INSTANCES: String(maxInstances) }
  }

  /** Models, configurations and endpoints that carry this stack's prefix. */
  #ownResources(): string[] {
    const sagemaker = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}`
    return ['model', 'endpoint-config', 'endpoint'].map((kind) => `${sagemaker}:${kind}/${this.endpointPrefix}-*`)
  }

  /** Brings a pool up that sleeps or was lost; the router starts it, and answers 503 with Retry-After meanwhile. */
  #wakeFlow(): StateMachine {
    const ensure = new LambdaInvoke(this, 'Ensure', {
      lambdaFunction: this.ensureHosting,
      payload: TaskInput.fromObject({ baseId: JsonPath.stringAt('$.baseId'), rank: JsonPath.numberAt('$.rank') }),
      payloadResponseOnly: true,
      resultPath: '$.hosting',
    })
    const wait = new Wait(this, 'StartsUp', { time: WaitTime.duration(Duration.seconds(5)) }).next(ensure)
    const ready = new Choice(this, 'Answers')
      .when(Condition.booleanEquals('$.hosting.ready', true), new Succeed(this, 'Awake'))
      .otherwise(wait)
    return new StateMachine(this, 'WakeFlow', {
      definitionBody: DefinitionBody.fromChainable(ensure.next(ready)),
      timeout: Duration.hours(1),
      tracingEnabled: true,
      logs: { destination: flowLogs(this), level: LogLevel.ALL, includeExecutionData: false },
    })
  }

  /** Takes down what failed, idles or belongs to nobody; and everything, when the stack goes. */
  #janitor(storage: Storage): HouseFunction {
    const { hosting } = House.of(this).config
    const remove = [
      'sagemaker:DeleteEndpoint',
      'sagemaker:DeleteEndpointConfig',
      'sagemaker:DeleteModel',
      'sagemaker:ListTags',
    ]
    const sweep = new HouseFunction(this, 'SweepHosting', {
      door: 'open-lora/sweep-hosting',
      description: 'Counts instance-hours, takes down failed, orphaned and idle endpoints',
      environment: {
        REGISTRY_TABLE: storage.registry.tableName,
        ENDPOINT_PREFIX: this.endpointPrefix,
        HOSTING_IDLE_MINUTES: String(hosting.idleMinutes),
        HOSTING_DAILY_HOURS: String(hosting.dailyInstanceHours),
      },
      timeout: Duration.minutes(2),
    })
      .allow(remove, this.#ownResources())
      .allow(['sagemaker:ListEndpoints'], ['*'])
      .allow(
        ['dynamodb:GetItem', 'dynamodb:Query'],
        [storage.registry.tableArn, `${storage.registry.tableArn}/index/GSI1`],
      )
      .allow(['dynamodb:PutItem', 'dynamodb:UpdateItem'], [storage.registry.tableArn], {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['HOSTING#*'] },
      })
    new HouseSchedule(this, 'SweepSchedule', {
      expression: 'rate(5 minutes)',
      target: sweep,
      description: 'Janitor of the serving endpoints',
      errorImpact: 'Endpoints that nobody uses go on costing money.',
    })

    const removeAll = new HouseFunction(this, 'RemoveEndpoints', {
      door: 'open-lora/remove-endpoints',
      description: 'With the stack go the endpoints that it started',
      environment: { ENDPOINT_PREFIX: this.endpointPrefix, ...this.#influenceInstances() },
      timeout: Duration.minutes(15),
    })
      .allow(remove, this.#ownResources())
      .allow(['sagemaker:ListEndpoints'], ['*'])
    const endpoints = new CustomResource(this, 'Endpoints', {
      serviceToken: removeAll.functionArn,
      resourceType: 'Custom::Endpoints',
    })
    // Taken down first: its function still has its grants then, and the roles that the containers run under are there.
    endpoints.node.addDependency(removeAll.role!)
    endpoints.node.addDependency(this.node.findChild('HostingRole'), this.node.findChild('InfluenceRole'))
    return removeAll
  }
}
