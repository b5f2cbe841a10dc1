// SPDX-License-Identifier: Apache-2.0
package testserver;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.HibernatePropertiesProvider;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.topic.BaseSubscriptionTopicLoader;
import ca.uhn.fhir.jpa.topic.SubscriptionTopicConfig;
import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.h2.jdbcx.JdbcConnectionPool;
import org.hl7.fhir.dstu2.model.Subscription.SubscriptionChannelType;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A HAPI FHIR R4 server on loopback for the tests: all data in memory, rest-hook Subscriptions by
 * criteria and on topics.
 *
 * <p>{@code Main PORT [MINUTES]} answers below {@code http://127.0.0.1:PORT/fhir}, and ends by
 * itself after so many minutes, so that no aborted test run leaves it behind.
 */
public final class Main {

    private static final long DELIVERED_EVERY = 200; // milliseconds; HAPI's own default is 5000
    private static final long TOPICS_READ_EVERY = 1000; // milliseconds; HAPI reads them at start

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        long minutes = arguments.length > 1 ? Long.parseLong(arguments[1]) : 60;
        ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor(Main::daemon);
        later.schedule(() -> Runtime.getRuntime().halt(3), minutes, TimeUnit.MINUTES);

        ApplicationContext beans = new AnnotationConfigApplicationContext(Beans.class);
        BaseSubscriptionTopicLoader topics = beans.getBean(BaseSubscriptionTopicLoader.class);
        listen(port, fhirServer(port, beans));
        later.scheduleWithFixedDelay(
                () -> readTopics(topics), 0, TOPICS_READ_EVERY, TimeUnit.MILLISECONDS);
        System.out.println("ready");
        Thread.currentThread().join();
    }

    /** A thread that does not keep a server alive which failed to start. */
    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    private static void readTopics(BaseSubscriptionTopicLoader topics) {
        try {
            topics.forceRefresh();
        } catch (RuntimeException busy) {
            // They are read again in a second.
        }
    }

    private static RestfulServer fhirServer(int port, ApplicationContext beans) {
        RestfulServer server = new RestfulServer(beans.getBean(FhirContext.class));
        server.setServerAddressStrategy(
                new HardcodedServerAddressStrategy("http://127.0.0.1:" + port + "/fhir"));
        server.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(beans.getBean(JpaSystemProvider.class));
        server.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        server.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                server,
                beans.getBean(IFhirSystemDao.class),
                beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class),
                beans.getBean(IValidationSupport.class)));
        beans.getAutowireCapableBeanFactory().autowireBean(server);
        return server;
    }

    private static void listen(int port, RestfulServer server) throws Exception {
        Path folder = Files.createTempDirectory("hapi-");
        folder.toFile().deleteOnExit();
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(folder.toString());
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(port);
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", folder.toString());
        Tomcat.addServlet(context, "fhir", server).setLoadOnStartup(1);
        context.addServletMappingDecoded("/fhir/*", "fhir");
        tomcat.start();
    }

    /** HAPI's own configuration, and the beans that it leaves to the application. */
    @Configuration
    @Import({
        JpaR4Config.class,
        HapiJpaConfig.class,
        JpaBatch2Config.class,
        Batch2JobsConfig.class,
        ThreadPoolFactoryConfig.class,
        SubscriptionChannelConfig.class,
        SubscriptionSubmitterConfig.class,
        SubscriptionProcessorConfig.class,
        SubscriptionTopicConfig.class
    })
    static class Beans {

        @Bean
        DataSource dataSource() {
            JdbcConnectionPool pool =
                    JdbcConnectionPool.create("jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1", "sa", "");
            pool.setMaxConnections(30);
            return pool;
        }

        @Bean
        @Primary
        LocalContainerEntityManagerFactoryBean entityManagerFactory(
                ConfigurableListableBeanFactory beans,
                FhirContext context,
                JpaStorageSettings storage,
                DataSource dataSource) {
            Properties properties = new Properties();
            properties.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
            properties.put("hibernate.hbm2ddl.auto", "update");
            properties.put("hibernate.search.enabled", "false");
            LocalContainerEntityManagerFactoryBean made =
                    HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, context, storage);
            made.setPersistenceUnitName("fhir");
            made.setDataSource(dataSource);
            made.setJpaProperties(properties);
            return made;
        }

        @Bean
        @Primary
        JpaTransactionManager transactionManager(EntityManagerFactory factory) {
            return new JpaTransactionManager(factory);
        }

        @Bean
        @Primary
        HibernatePropertiesProvider hibernatePropertiesProvider() {
            return new HibernatePropertiesProvider();
        }

        @Bean
        JpaStorageSettings storageSettings() {
            JpaStorageSettings made = new JpaStorageSettings();
            made.setReuseCachedSearchResultsForMillis(null); // a search sees the last write
            return made;
        }

        @Bean
        SubscriptionSettings subscriptionSettings() {
            SubscriptionSettings made = new SubscriptionSettings();
            made.addSupportedSubscriptionType(SubscriptionChannelType.RESTHOOK);
            made.setSubscriptionIntervalInMs(DELIVERED_EVERY);
            return made;
        }

        @Bean
        PartitionSettings partitionSettings() {
            return new PartitionSettings();
        }

        @Bean
        IEmailSender emailSender() {
            return message -> {};
        }
    }
}
