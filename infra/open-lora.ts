import { Aws, Duration } from 'aws-cdk-lib'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import type { Doors } from './api.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
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
    this.endpointPrefix = `${Aws.STACK_NAME}`
    const endpoints = `arn:${Aws.PARTITION}:sagemaker:${Aws.REGION}:${Aws.ACCOUNT_ID}`
    const secret = new Secret(this, 'InferenceSecret', {
      description: 'Signs invocations of the serving image',
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
    })
    const hostingRole = this.#hostingRole(storage, secret)
    images.grantPull(hostingRole)

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
      },
      timeout: Duration.minutes(15),
      memoryMb: 1024,
    })
      .allow(['dynamodb:GetItem', 'dynamodb:Query'], [storage.registry.tableArn])
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
      .allow(['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointWithResponseStream'], [`${endpoints}:endpoint/*`])
    const listModels = new HouseFunction(this, 'ListModels', {
      door: 'open-lora/list-models',
      description: 'Adapters by name',
      environment: { REGISTRY_TABLE: storage.registry.tableName },
    }).allow(['dynamodb:Query'], [`${storage.registry.tableArn}/index/GSI1`])
    this.doors = { chatCompletion: infer, completion: infer, listModels }

    this.ensureHosting = new HouseFunction(this, 'EnsureHosting', {
      door: 'open-lora/ensure-hosting',
      description: 'The endpoints of a base model exist and answer',
      environment: {
        REGISTRY_TABLE: storage.registry.tableName,
        MODELS_URI: storage.models.s3UrlForObject(),
        OPEN_LORA_IMAGE: images.openLora,
        INFLUENCE_IMAGE: images.influence,
        HOSTING_ROLE_ARN: hostingRole.roleArn,
        HOSTING_INSTANCE_TYPE: config.hosting.instanceType,
        INFERENCE_SECRET_ARN: secret.secretArn,
        ENDPOINT_PREFIX: this.endpointPrefix,
        MAX_ENDPOINTS: String(config.hosting.maxEndpoints),
      },
    })
      .allow(['dynamodb:PutItem'], [storage.registry.tableArn])
      .allow(
        [
          'sagemaker:CreateModel',
          'sagemaker:CreateEndpointConfig',
          'sagemaker:CreateEndpoint',
          'sagemaker:DescribeEndpoint',
          'sagemaker:AddTags',
        ],
        ['model', 'endpoint-config', 'endpoint'].map((kind) => `${endpoints}:${kind}/*`),
      )
      .allow(['sagemaker:ListEndpoints'], ['*'])
      .allow(['iam:PassRole'], [hostingRole.roleArn], {
        StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
      })
  }

  /** Serving reads bases and adapters, and the secret that it checks; it writes nothing but its logs. */
  #hostingRole(storage: Storage, secret: Secret): Role {
    const role = new Role(this, 'HostingRole', {
      assumedBy: new ServicePrincipal('sagemaker.amazonaws.com'),
      description: 'Execution role of the serving containers',
    })
    const allow = (actions: string[], resources: string[], conditions?: Record<string, unknown>) =>
      role.addToPolicy(new PolicyStatement({ actions, resources, ...(conditions ? { conditions } : {}) }))
    allow(['s3:GetObject'], [storage.models.arnForObjects('bases/*'), storage.models.arnForObjects('adapters/*')])
    allow(['s3:ListBucket'], [storage.models.bucketArn], { StringLike: { 's3:prefix': ['bases/*', 'adapters/*'] } })
    allow(['secretsmanager:GetSecretValue'], [secret.secretArn])
    allow(
      ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
      [`arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/*`],
    )
    allow(['cloudwatch:PutMetricData'], ['*'], { StringEquals: { 'cloudwatch:namespace': '/aws/sagemaker/Endpoints' } })
    return role
  }
}
