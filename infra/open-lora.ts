import { Aws, Duration, Stack } from 'aws-cdk-lib'
import type { Role } from 'aws-cdk-lib/aws-iam'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import type { Doors } from './api.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { allowRemoval, allowScaling } from './endpoint-scaling.ts'
import { hostingJanitor } from './hosting-janitor.ts'
import { hostingRoleOf, influenceRoleOf } from './hosting-roles.ts'
import type { Images } from './images.ts'
import { PLATFORM_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'
import { wakeFlow } from './wake-flow.ts'

/** Serving: the router in front of SageMaker endpoints, and the step that makes an endpoint for a base model. */
export class OpenLora extends Construct {
  readonly doors: Doors
  readonly ensureHosting: HouseFunction
  readonly endpointPrefix: string
  readonly #sagemaker = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}`

  constructor(scope: Construct, id: string, { storage, images }: { storage: Storage; images: Images }) {
    super(scope, id)
    const { config } = House.of(this)
    // ARNs of endpoints are in lower case, and names end at 63 characters.
    this.endpointPrefix = Stack.of(this).stackName.toLowerCase().slice(0, 24)
    const secret = new Secret(this, 'InferenceSecret', {
      description: 'Signs invocations of the serving image',
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
    })
    const hostingRole = hostingRoleOf(this, storage, secret)
    const influenceRole = influenceRoleOf(this, storage)
    for (const role of [hostingRole, influenceRole]) images.grantPull(role)
    this.ensureHosting = this.#ensureHosting(storage, images, { hostingRole, influenceRole }, secret)
    const wake = wakeFlow(this, this.ensureHosting)
    const { sweep, removeAll } = hostingJanitor(this, {
      storage,
      endpointPrefix: this.endpointPrefix,
      ownResources: this.#ownResources(),
      influenceInstances: this.#influenceInstances(),
    })
    if (config.hosting.influence.minInstances < config.hosting.influence.maxInstances) {
      allowScaling(this.ensureHosting, this.endpointPrefix)
      for (const remover of [sweep, removeAll]) allowRemoval(remover, this.endpointPrefix)
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
        HOSTING_DAILY_HOURS: String(config.hosting.dailyInstanceHours),
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
        [`${this.#sagemaker}:endpoint/${this.endpointPrefix}-*`],
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
    const ensure = new HouseFunction(this, 'EnsureHosting', {
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
        HOSTING_MAX_MODEL_TOKENS: String(hosting.maxModelTokens),
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
          // What it made of an endpoint that the account's quota does not let be.
          'sagemaker:DeleteEndpointConfig',
          'sagemaker:DeleteModel',
        ],
        this.#ownResources(),
      )
      .allow(['sagemaker:ListTags'], this.#ownResources())
      .allow(['sagemaker:ListEndpoints'], ['*'])
      .allow(['iam:PassRole'], [hostingRole.roleArn, influenceRole.roleArn], {
        StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
      })
    const everybodys = ['endpoint', 'endpoint-config'].map((kind) => `${this.#sagemaker}:${kind}/*`)
    if (hosting.accountQuota > 0)
      ensure.allow(['sagemaker:DescribeEndpoint', 'sagemaker:DescribeEndpointConfig'], everybodys)
    return ensure
  }

  #influenceInstances(): { INFLUENCE_MIN_INSTANCES: string; INFLUENCE_MAX_INSTANCES: string } {
    const { minInstances, maxInstances } = House.of(this).config.hosting.influence
    return { INFLUENCE_MIN_INSTANCES: String(minInstances), INFLUENCE_MAX_INSTANCES: String(maxInstances) }
  }

  /** Models, configurations and endpoints that carry this stack's prefix. */
  #ownResources(): string[] {
    return ['model', 'endpoint-config', 'endpoint'].map((kind) => `${this.#sagemaker}:${kind}/${this.endpointPrefix}-*`)
  }
}
